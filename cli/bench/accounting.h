// Every token of every stream, accounted for: what the server says that it made, against
// what came and what was asked for.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/bench/statistics.h"

namespace weft::bench {

// Of the answers that succeeded.
struct TokenAccount {
  int64_t num_text_events = 0;

  // Each answer is one of these four, by its usage and its events with text.
  int64_t num_without_usage = 0;
  int64_t num_equal = 0;         // an event for each token
  int64_t num_fewer_events = 0;  // events carry several tokens, or tokens have no text
  int64_t num_more_events = 0;   // usage is too low

  // Answers whose tokens are not as many as were asked for, and prompts of which the server
  // has counted other than the ids sent.
  int64_t num_shorter = 0;
  int64_t num_longer = 0;
  int64_t num_other_prompts = 0;
};

TokenAccount Account(const std::vector<RequestRecord>& requests);

}  // namespace weft::bench
