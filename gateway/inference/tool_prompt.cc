#include "gateway/inference/tool_prompt.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::gateway {

std::string ToolDefinitions(const ToolOptions& options) {
  if (options.tools.empty() || options.choice == ToolChoice::kNone) return {};
  std::string definitions;
  for (const Tool& tool : options.tools) {
    absl::StrAppend(&definitions, definitions.empty() ? "[" : ",", tool.definition);
  }
  return definitions + "]";
}

void DescribeToolsInSystemMessage(const std::vector<Tool>& tools,
                                  std::vector<text::ChatMessage>& messages) {
  std::string words = "You may call these functions, one or several:\n";
  for (const Tool& tool : tools) absl::StrAppend(&words, tool.definition, "\n");
  absl::StrAppend(&words,
                  "To call one, answer with nothing but its name and arguments in this form:\n"
                  "<tool_call>\n{\"name\": \"...\", \"arguments\": {...}}\n</tool_call>");
  const auto system = std::find_if(messages.begin(), messages.end(),
                                   [](const auto& message) { return message.role == "system"; });
  if (system == messages.end()) {
    messages.insert(messages.begin(), {.role = "system", .content = std::move(words)});
  } else {
    absl::StrAppend(&system->content, "\n\n", words);
  }
}

}  // namespace weft::gateway
