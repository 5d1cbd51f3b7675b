// How long a worker's steps take, learned from its answers, and so how many prompt tokens
// may come along with decodes without holding them back for long.
//
// The model: a step takes  base + row_cost * rows that decode + token_cost * prompt tokens.
// Steps that only decode teach the first two, prompts among as many decodes the third.
// On a busy worker, many decodes may never be alone: then what a step takes beyond what its
// prompts explain is theirs. (Taken for the prompts', it would starve them.)
#pragma once

#include <algorithm>
#include <limits>

#include "scheduler/core/types.h"

namespace weft::core {

class StepPace {
 public:
  // A step of so much took so long; 0: nobody measured it.
  void Learn(int num_decode_rows, int num_prompt_tokens, Micros took) {
    if (took <= 0) return;
    const auto time = static_cast<double>(took);
    if (num_prompt_tokens == 0) {
      LearnDecode(num_decode_rows, time);
    } else if (num_decode_rows <= most_rows_alone_) {
      // Few tokens say little of what one costs, and nothing as long as the base counts in.
      if (base_ == 0 && num_prompt_tokens < kTellingTokens) return;
      const double cost = (time - DecodeTime(num_decode_rows)) / num_prompt_tokens;
      seen_tokens_ = std::min(seen_tokens_ + num_prompt_tokens, kRememberedTokens);
      token_cost_ += (std::max(0.0, cost) - token_cost_) *
                     std::min(1.0, num_prompt_tokens / static_cast<double>(seen_tokens_));
    } else if (token_cost_ > 0) {
      const double cost = (time - base_ - token_cost_ * num_prompt_tokens) / num_decode_rows;
      row_cost_ += (std::max(0.0, cost) - row_cost_) * kWeight;
    }
  }

  // So many that a step with these decodes takes no longer than `limit` or, where that is
  // more, than twice as long as without prompts. At least one block's, so that prompts get
  // on.
  int MaxPromptTokens(int num_decode_rows, Micros limit) const {
    if (token_cost_ == 0) return std::numeric_limits<int>::max();  // none was seen yet
    const double decode = DecodeTime(num_decode_rows);
    const double room = std::max(static_cast<double>(limit) - decode, decode);
    return static_cast<int>(std::clamp(room / token_cost_, double{kBlockTokens}, 1e9));
  }

 private:
  static constexpr double kWeight = 0.125;
  static constexpr int kTellingTokens = 512, kRememberedTokens = 4096;
  static constexpr double kRowsLikeBase = 64;  // that weigh as much as the base

  double DecodeTime(int num_rows) const { return base_ + row_cost_ * num_rows; }

  // What the two were off is shared between them in proportion to their parts (normalized
  // least mean squares; Nagumo and Noda, 1967).
  void LearnDecode(int num_rows, double time) {
    most_rows_alone_ = std::max(most_rows_alone_, num_rows);
    const double part = num_rows / kRowsLikeBase;
    const double correction =
        (time - DecodeTime(num_rows)) / (1 + part * part) * (base_ == 0 ? 1 : kWeight);
    base_ = std::max(0.0, base_ + correction);
    row_cost_ = std::max(0.0, row_cost_ + correction * part / kRowsLikeBase);
  }

  double base_ = 0, row_cost_ = 0, token_cost_ = 0;  // microseconds
  int most_rows_alone_ = 0;                          // in a step that only decoded
  int seen_tokens_ = 0;
};

}  // namespace weft::core
