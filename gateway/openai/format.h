// Events to the JSON that OpenAI's clients read: one object, or the frames of a stream.
// An AnswerWriter is one answer in one endpoint's shape; whoever feeds it its events
// need not know which.
//
// Frames are written by hand into the connection's buffer, with all that is the same in
// every frame of a stream made once: this runs for every token.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/inference/event.h"
#include "gateway/openai/request.h"

namespace weft::openai {

// What every object and frame of one answer repeats.
struct AnswerHead {
  std::string id;  // "chatcmpl-..."
  int64_t created = 0;
  std::string model;
};

using SharedPromptLogprobs = std::shared_ptr<const std::vector<gateway::PromptLogprob>>;

// Takes one answer's events in their order, with the answer's own choice indexes. What a
// client shall read is appended to `out`: of a stream the frames as they come; of a
// whole answer nothing before Completed, and then all of it.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  virtual void Delta(std::string& out, const gateway::Delta& delta) = 0;
  virtual void Finished(std::string& out, const gateway::ChoiceFinished& finished) = 0;
  // Of the prompt of the `num_choices` choices from `first_choice` on.
  virtual void PromptLogprobs(int first_choice, int num_choices, SharedPromptLogprobs logprobs);

  // The last call is one of these.
  virtual void Completed(std::string& out, const gateway::Usage& usage) = 0;
  virtual void Failed(std::string& out, const absl::Status& status) = 0;  // streams only
};

// What is known of an answer once its prompts have been accepted.
struct AnswerShape {
  int num_choices = 1;
  int prompt_tokens = 0;          // of all prompts
  bool with_logprobs = false;     // they were asked for
  std::vector<std::string> echo;  // by choice, text before the first generated one; or empty
};

std::unique_ptr<AnswerWriter> MakeAnswerWriter(const GenerationCall& call, const AnswerHead& head,
                                               AnswerShape shape);

}  // namespace weft::openai
