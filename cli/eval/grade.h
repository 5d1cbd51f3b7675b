// Whether an answer is right.
//
// The rules are those that Qwen2.5-Math's evaluation and lm-eval publish; docs/eval.md says where
// ours are stricter. In short: the same letters; the same choice; the same rational number, or one
// written with decimals that is within 1e-4 of it; a percentage or its fraction where a percent
// sign stands; sets in any order, tuples and intervals with the same brackets, matrices by their
// entries; formulas that agree wherever they are evaluated.
#pragma once

#include <string>
#include <string_view>

namespace weft::eval {

struct Verdict {
  bool is_right = false;
  std::string why;  // "same text", "equal numbers", …
};

// Pure; bounded in time for every input.
Verdict Grade(std::string_view answer, std::string_view reference);

}  // namespace weft::eval
