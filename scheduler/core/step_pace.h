// How long a worker's steps take, learned from its answers: a step that only decodes, and
// what each prompt token adds to a step. From it follows how many prompt tokens may come
// along with decodes without holding them back for long.
//
// Both are moving averages. A step reads all weights, whether for one token or hundreds:
// the cost of prompt tokens is what a step takes beyond one that only decodes, and until
// one of those has been seen, nothing is known.
#pragma once

#include <algorithm>
#include <limits>

#include "scheduler/core/types.h"

namespace weft::core {

class StepPace {
 public:
  // A step of so many prompt tokens, besides decodes or without, took so long; 0: nobody
  // measured it.
  void Learn(int num_prompt_tokens, Micros took) {
    if (took <= 0) return;
    const auto time = static_cast<double>(took);
    if (num_prompt_tokens == 0) {
      decode_time_ += (time - decode_time_) * (decode_time_ == 0 ? 1 : kWeight);
    } else if (decode_time_ > 0) {
      // Few tokens say little of what one costs.
      const double weight = num_prompt_tokens / (num_prompt_tokens + kTokensOfHalfWeight);
      const double cost = std::max(0.0, time - decode_time_) / num_prompt_tokens;
      token_cost_ += (cost - token_cost_) * (token_cost_ == 0 ? 1 : weight);
    }
  }

  // So many that a step with decodes takes no longer than `limit` or, where that is more,
  // than twice as long as without them. At least one block's, so that prompts get on.
  int MaxPromptTokens(Micros limit) const {
    if (token_cost_ == 0) return std::numeric_limits<int>::max();
    const double room = std::max(static_cast<double>(limit) - decode_time_, decode_time_);
    return static_cast<int>(std::clamp(room / token_cost_, double{kBlockTokens}, 1e9));
  }

 private:
  static constexpr double kWeight = 0.125;
  static constexpr double kTokensOfHalfWeight = 512;

  double decode_time_ = 0;  // microseconds
  double token_cost_ = 0;
};

}  // namespace weft::core
