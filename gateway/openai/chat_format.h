// Chat's shape: {"delta":{...}} in chunks, {"message":{...}} in the whole answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/openai/chunks.h"
#include "gateway/openai/whole_answer.h"

namespace weft::openai {

// A choice's first chunk names the role. It is held until the choice has its first
// token: benchmarks take the first chunk's arrival for the time to first token.
class ChatChunks : public Chunks {
 public:
  ChatChunks(const AnswerHead& head, const StreamOptions& options, int num_choices);

  void Delta(std::string& out, const gateway::Delta& delta) override;
  void Finished(std::string& out, const gateway::ChoiceFinished& finished) override;

 private:
  void Role(std::string& out, int index);

  std::vector<bool> has_role_;  // by choice
};

// ,"message":{...},"logprobs":...
void AppendChatChoice(std::string& out, const CollectedChoice& choice);

}  // namespace weft::openai
