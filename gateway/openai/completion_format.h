// Completions' shape: {"text":"...","logprobs":{parallel arrays}} in chunks and in
// the whole answer alike.
#pragma once

#include <string>
#include <vector>

#include "gateway/openai/chunks.h"
#include "gateway/openai/whole_answer.h"

namespace weft::openai {

class CompletionChunks : public Chunks {
 public:
  CompletionChunks(const AnswerHead& head, const StreamOptions& options, int num_choices,
                   std::vector<std::string> echo);

  void Delta(std::string& out, const gateway::Delta& delta) override;
  void Finished(std::string& out, const gateway::ChoiceFinished& finished) override;

 private:
  struct Choice {
    std::string echo;        // still to be written
    size_t text_offset = 0;  // characters written, where the next logprob stands
  };
  void Text(std::string& out, const gateway::Delta& delta);

  std::vector<Choice> choices_;
};

// ,"text":"...","logprobs":...
void AppendCompletionChoice(std::string& out, const CollectedChoice& choice,
                            const std::string& echo);

}  // namespace weft::openai
