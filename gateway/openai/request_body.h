// What every endpoint does with its body, and the fields that several of them share.
// For the x_request.cc files.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/openai/fields.h"
#include "gateway/openai/json_reader.h"
#include "gateway/openai/request.h"

namespace weft::openai {

// Calls `read` with the body's fields and an empty Call to fill. The first failure, if
// there is one, is the result; unknown fields are logged.
template <typename Call, typename Read>
absl::StatusOr<Call> ReadBody(std::string_view body, FieldNames* known, const Read& read) {
  absl::StatusOr<boost::json::object> object = ParseObject(body);
  if (!object.ok()) return object.status();
  Call call;
  Fields fields(*object, "");
  read(fields, call);
  if (known) *known = fields.Known();
  if (!fields.status().ok()) return fields.status();
  LogUnknown(fields);
  return call;
}

// The model, and how tokens are drawn, until when and for whom: of all generating
// endpoints, as OpenAI and vLLM name it.
void ReadSampling(Fields& fields, gateway::Request& request);

// What chat and completions share besides: max_tokens, n, the stream, constraints,
// logprobs of the prompt.
void ReadGeneration(Fields& fields, GenerationCall& call, gateway::Request& request);

// add_generation_prompt and continue_final_message, chat_template_kwargs and tools: what
// a chat's template gets besides its messages.
void ReadTemplate(Fields& fields, gateway::ChatPrompt& prompt);

}  // namespace weft::openai
