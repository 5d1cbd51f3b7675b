// What the answer must be, in every way in which clients say it: OpenAI's
// response_format, vLLM's structured_outputs and the guided_* before it, llama.cpp's
// grammar and json_schema. One of them is enough, and more are refused.
#pragma once

#include <optional>

#include "gateway/inference/request.h"
#include "gateway/openai/fields.h"

namespace weft::openai {

// Reads all of these fields. Whether the grammar itself is any good is for
// Service::Start to say.
void ReadGrammar(Fields& fields, std::optional<gateway::Grammar>& out);

// One {"type":"text"|"json_object"|"json_schema",...} under `name`: nested as chat has it
// ("json_schema":{"name":...,"schema":...}) or flat as responses have it. Text is no
// grammar.
void ReadFormat(Fields& fields, std::string_view name, bool is_nested,
                std::optional<gateway::Grammar>& out);

}  // namespace weft::openai
