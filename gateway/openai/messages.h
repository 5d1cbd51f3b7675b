// The messages of a chat: roles, text in either of its two forms, reasoning, calls of
// tools and what came of them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/openai/fields.h"
#include "text/chat_template.h"

namespace weft::openai {

// Reads "messages". "developer" is OpenAI's newer name for "system". Parts of type
// text are joined by line ends, as vLLM does; any other part is refused.
void ReadMessages(Fields& fields, std::vector<text::ChatMessage>& messages);

// Text under `name`: a string, or an array of parts such as {"type":"text","text":"..."}
// of one of `part_types`. False if it is absent or null.
bool ReadText(Fields& fields, std::string_view name,
              std::initializer_list<std::string_view> part_types, std::string& out);

// A call's "name" and "arguments", which must be a JSON object as text; empty ones
// are none.
void ReadCall(Fields& function, text::ToolCall& out);

}  // namespace weft::openai
