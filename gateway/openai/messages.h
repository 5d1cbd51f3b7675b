// The messages of a chat: roles, text in either of its two forms, reasoning.
#pragma once

#include <vector>

#include "gateway/openai/fields.h"
#include "text/chat_template.h"

namespace weft::openai {

// Reads "messages". "developer" is OpenAI's newer name for "system". Parts of type
// text are joined by line ends, as vLLM does; any other part is refused.
void ReadMessages(Fields& fields, std::vector<text::ChatMessage>& messages);

}  // namespace weft::openai
