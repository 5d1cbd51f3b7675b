// Tools in a prompt: through the model's template, or, for what that does not write, in messages
// that it does. Their form is that of Qwen's template, which other models follow as told.
#pragma once

#include <string>
#include <vector>

#include "gateway/inference/request.h"

namespace weft::gateway {

// Whether the model is shown tools that it may call.
bool ShowsTools(const ToolOptions& options);

// Their definitions as a JSON array; empty: none are shown.
std::string ToolDefinitions(const ToolOptions& options);

// Whether `prompt` has something of tools that the template drops.
bool DropsTools(const ChatPrompt& prompt, const text::ToolSupport& support);

// The messages with that in them all the same:
//   definitions   and how to call them, in the system message: the first, or a new one
//   calls         in the turn's content, as <tool_call>; where only a turn without content may
//                 have some, in a turn of their own
//   results       as a user's turn, in <tool_response>; those that follow each other in one
std::vector<text::ChatMessage> WithTools(const ChatPrompt& prompt,
                                         const text::ToolSupport& support);

}  // namespace weft::gateway
