// Tools in a prompt: through the model's template, or, where that does not write any
// (R1's), in its system message, in words of ours.
#pragma once

#include <string>
#include <vector>

#include "gateway/inference/request.h"

namespace weft::gateway {

// The definitions as a JSON array; empty: none are shown.
std::string ToolDefinitions(const ToolOptions& options);

// The system message, with `definitions` and how to call them added: the first one there
// is, or a new one before all others.
void DescribeToolsInSystemMessage(const std::vector<Tool>& tools,
                                  std::vector<text::ChatMessage>& messages);

}  // namespace weft::gateway
