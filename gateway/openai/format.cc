#include "gateway/openai/format.h"

#include <utility>

#include "gateway/openai/chat_format.h"
#include "gateway/openai/completion_format.h"
#include "gateway/openai/response_format.h"
#include "gateway/openai/whole_answer.h"

namespace weft::openai {

void AnswerWriter::PromptLogprobs(int, int, SharedPromptLogprobs) {}

std::unique_ptr<AnswerWriter> MakeAnswerWriter(const GenerationCall& call, const AnswerHead& head,
                                               AnswerShape shape) {
  if (call.endpoint == Endpoint::kResponse) {
    return std::make_unique<ResponseWriter>(head, call.repeated, call.stream);
  }
  if (!call.stream) {
    return std::make_unique<Collector>(call, head, std::move(shape));
  }
  const StreamOptions options = {.include_usage = call.include_usage,
                                 .continuous_usage = call.continuous_usage,
                                 .prompt_tokens = shape.prompt_tokens};
  if (call.endpoint == Endpoint::kChat) {
    return std::make_unique<ChatChunks>(head, options, shape.num_choices);
  }
  return std::make_unique<CompletionChunks>(head, options, shape.num_choices,
                                            std::move(shape.echo));
}

}  // namespace weft::openai
