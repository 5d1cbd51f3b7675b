// What was measured and what it comes to. Definitions are vLLM's:
//
//   TTFT  from sending a request to its first event with text
//   ITL   between one event with text and the next; an event may carry several tokens
//   TPOT  (E2E - TTFT) / (tokens - 1); of requests with two tokens or more
//   E2E   from sending a request to the last event of its choice
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/bench/options.h"

namespace weft::bench {

// One request that succeeded.
struct RequestRecord {
  double ttft_ms = 0;
  double e2e_ms = 0;
  double mean_itl_ms = 0;  // 0: one event or none
  int64_t num_prompt_tokens = 0;
  int64_t num_output_tokens = 0;
};

// Requests that failed in the same way.
struct ErrorCount {
  std::string example;
  std::vector<float> after_ms;  // from sending each to its failure

  int64_t count() const { return static_cast<int64_t>(after_ms.size()); }
};

// What one thread has measured, or several.
struct Measurements {
  std::vector<RequestRecord> requests;
  std::vector<float> itl_ms;
  std::map<std::string, ErrorCount> errors;  // by kind
  int64_t num_without_usage = 0;             // their tokens are their events

  void AddError(const std::string& kind, const std::string& example, double after_ms);
  void Merge(Measurements&& other);
};

struct Summary {
  double mean = 0;
  double std = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};

// Percentiles as numpy has them, between neighbours in a straight line. All 0 for no
// values.
template <typename T>
Summary Summarize(std::vector<T> values);
// `sorted` ascends and is not empty; `percent` is from 0 to 100.
template <typename T>
double Percentile(const std::vector<T>& sorted, double percent);

struct Results {
  double duration_s = 0;
  int64_t num_succeeded = 0;
  int64_t num_failed = 0;
  int64_t num_prompt_tokens = 0;
  int64_t num_output_tokens = 0;
  int64_t num_good = 0;  // within every bound of Goodput
  Summary ttft_ms;
  Summary tpot_ms;
  Summary itl_ms;
  Summary e2e_ms;

  double PerSecond(int64_t count) const;
};

Results Summarize(const Measurements& measured, double duration_s, const Goodput& goodput);

}  // namespace weft::bench
