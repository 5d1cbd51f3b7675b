// What is asked, and what is right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::eval {

struct Problem {
  std::string id;
  std::string question;
  std::string answer;  // the reference
};

// JSON lines, an object each: `problem` or `question`, `answer` (text or a number) and `id` or
// `unique_id` (without one: its place, from 0). Of GSM8K's answers what stands behind "#### ".
// `source` names the text in errors, which say the line. Ids are unique, and there is a problem.
absl::StatusOr<std::vector<Problem>> ParseProblems(std::string_view text,
                                                   const std::string& source);

}  // namespace weft::eval
