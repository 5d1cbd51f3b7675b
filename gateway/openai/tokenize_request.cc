#include <utility>

#include "gateway/openai/messages.h"
#include "gateway/openai/request_body.h"

namespace weft::openai {

absl::StatusOr<TokenizeCall> ParseTokenize(std::string_view body, FieldNames* known) {
  return ReadBody<TokenizeCall>(body, known, [](Fields& fields, TokenizeCall& call) {
    fields.String("model", call.request.model);
    fields.Bool("return_token_strs", call.return_token_strs);
    if (fields.Get("messages")) {
      gateway::ChatPrompt prompt;
      ReadMessages(fields, prompt.messages);
      ReadTemplate(fields, prompt);
      fields.String("reasoning_effort", prompt.reasoning_effort);
      call.request.prompt = std::move(prompt);
    } else {
      gateway::TextPrompt prompt;
      if (!fields.Get("prompt")) fields.Fail("prompt", "is missing, and so is messages");
      fields.String("prompt", prompt.text);
      fields.Bool("add_special_tokens", prompt.add_special);
      call.request.prompt = std::move(prompt);
    }
    fields.Unsupported("chat_template");
  });
}

absl::StatusOr<DetokenizeCall> ParseDetokenize(std::string_view body, FieldNames* known) {
  return ReadBody<DetokenizeCall>(body, known, [](Fields& fields, DetokenizeCall& call) {
    fields.String("model", call.model);
    if (!fields.Get("tokens")) fields.Fail("tokens", "is missing");
    fields.Ints("tokens", call.tokens);
  });
}

}  // namespace weft::openai
