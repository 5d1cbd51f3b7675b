// What was measured and what it comes to. Definitions are vLLM's:
//
//   TTFT  from a request's arrival to its first event with text
//   ITL   between one event with text and the next; an event may carry several tokens
//   TPOT  (E2E - TTFT) / (tokens - 1); of requests with two tokens or more
//   E2E   from a request's arrival to the last event of its choice
//
// A request arrives when the load's schedule says, even if it was sent later because every
// slot was busy or the generator was late: a server that holds requests up is not spared those
// that would have come meanwhile (coordinated omission). Without a schedule it arrives when it
// is sent.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/bench/slo.h"

namespace weft::bench {

// One request that succeeded.
struct RequestRecord {
  double ttft_ms = 0;
  double e2e_ms = 0;
  double mean_itl_ms = 0;  // 0: one event or none
  double late_ms = 0;      // from its arrival to its sending
  int64_t num_prompt_tokens = 0;
  int64_t num_output_tokens = 0;

  // What accounting.h holds these against.
  int num_text_events = 0;
  bool has_usage = true;     // else the prompt counts 0 tokens, and each event is one
  int num_asked_tokens = 0;  // max_tokens
  int num_prompt_ids = 0;    // 0: the prompt was text
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

  void AddError(const std::string& kind, const std::string& example, double after_ms);
  void Merge(Measurements&& other);
};

struct Summary {
  double mean = 0;
  double std = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
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
  int64_t num_good = 0;  // within every bound of the Slo
  Summary ttft_ms;
  Summary tpot_ms;
  Summary itl_ms;
  Summary e2e_ms;
  // Of requests that a schedule sent: how late, and what they saw from then on.
  Summary late_ms;
  Summary ttft_from_sending_ms;
  Summary e2e_from_sending_ms;

  double PerSecond(int64_t count) const;
};

Results Summarize(const Measurements& measured, double duration_s, const Slo& slo);

}  // namespace weft::bench
