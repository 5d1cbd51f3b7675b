// What a response continues: a text, or items as OpenAI's responses have them, to the
// messages of a chat.
//
//   message               a message; the parts' text joined by line ends
//   reasoning             the next assistant message's reasoning
//   function_call         a call of the assistant's
//   function_call_output  a message of role tool
//
// What an assistant did in one turn, its reasoning, then its text, then its calls, is
// one message, however many items it came in.
#pragma once

#include <vector>

#include "gateway/openai/fields.h"
#include "text/chat_template.h"

namespace weft::openai {

// Reads "input". References to stored items are refused: nothing is stored.
void ReadInput(Fields& fields, std::vector<text::ChatMessage>& messages);

}  // namespace weft::openai
