// One answer to one problem: what was asked, what came, and the verdict.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cli/eval/boxed.h"
#include "cli/eval/problem.h"
#include "cli/eval/prompt.h"

namespace weft::eval {

enum class Outcome {
  kRight,
  kWrong,
  kTruncated,  // the limit of tokens came before the thinking ended: wrong, and counted apart
};
const char* Name(Outcome outcome);

struct Transcript {
  std::string id;  // the problem's
  int seed = 0;
  std::string question;
  std::string reference;
  std::string reasoning;
  std::string content;
  std::string finish_reason;
  std::string answer;  // extracted
  std::string found;   // by which rule: Name(Found)
  Outcome outcome = Outcome::kWrong;
  std::string why;  // the verdict's
  int64_t num_prompt_tokens = 0;
  int64_t num_tokens = 0;  // of the answer, by the server's count
  double seconds = 0;      // from sending the request to its end
};

// Sets answer, found, outcome and why from what the server said. Thinking that stands in the
// content, up to the last </think>, becomes `reasoning`.
void Judge(Transcript& transcript, const Prompt& prompt);

boost::json::object ToJson(const Transcript& transcript);
absl::StatusOr<Transcript> ParseTranscript(std::string_view line);

}  // namespace weft::eval
