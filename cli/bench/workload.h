// The load: when requests arrive and what they say. A function of the options, so
// that the same seed is the same load, however many threads send it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench/options.h"

namespace weft::bench {

// Seconds after the start, ascending: a Poisson process of `rate` arrivals a second.
// All 0 where the rate is 0 or infinite.
std::vector<double> Arrivals(int num_requests, double rate, uint64_t seed);

class Workload {
 public:
  // `model` is the name that the server knows.
  Workload(const Options& options, const Target& target, const std::string& model);

  // The whole HTTP request `index`, in the place of what `out` held. No two indexes
  // have a prompt in common; negative ones are for warming up. Thread-safe.
  void WriteRequest(int64_t index, std::string& out) const;

 private:
  void AppendPrompt(int64_t index, std::string& out) const;

  const bool is_chat_;
  const bool has_seeds_;  // AnswerCheck's
  const int input_len_;
  const int first_id_;
  const int end_id_;
  const uint64_t seed_;
  std::string head_;        // up to the value of Content-Length
  std::string body_begin_;  // up to the prompt
  std::string body_end_;    // behind it
};

}  // namespace weft::bench
