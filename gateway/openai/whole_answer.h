// Chat's and completions' answers that are sent whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/openai/format.h"
#include "text/chat_template.h"

namespace weft::openai {

// One choice of an answer that is sent whole.
struct CollectedChoice {
  std::string content;
  std::string reasoning;
  std::vector<text::ToolCall> tool_calls;
  std::optional<std::vector<gateway::TokenLogprob>> logprobs;  // absent: not asked for
  SharedPromptLogprobs prompt_logprobs;
  gateway::ChoiceFinished finished;
};

// Gathers the choices, and writes the answer once all have finished.
class Collector : public AnswerWriter {
 public:
  Collector(const GenerationCall& call, const AnswerHead& head, AnswerShape shape);

  void Delta(std::string& out, const gateway::Delta& delta) override;
  void Finished(std::string& out, const gateway::ChoiceFinished& finished) override;
  void PromptLogprobs(int first_choice, int num_choices, SharedPromptLogprobs logprobs) override;
  void Completed(std::string& out, const gateway::Usage& usage) override;
  void Failed(std::string& out, const absl::Status& status) override;

 private:
  const Endpoint endpoint_;
  const AnswerHead head_;
  const std::vector<std::string> echo_;
  const bool shows_prompt_logprobs_;
  const bool only_echo_;
  std::vector<CollectedChoice> choices_;
};

// The choices' prompt logprobs stand before their own where there is an echo, and in a
// field of their own if `shows_prompt_logprobs`.
std::string WholeAnswer(Endpoint endpoint, const AnswerHead& head,
                        const std::vector<CollectedChoice>& choices, const gateway::Usage& usage,
                        const std::vector<std::string>& echo, bool shows_prompt_logprobs = false);

}  // namespace weft::openai
