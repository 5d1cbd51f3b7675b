#include "gateway/inference/tool_prompt.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft::gateway {
namespace {

constexpr char kResultBegin[] = "<tool_response>\n";
constexpr char kResultEnd[] = "\n</tool_response>";

void AppendResult(const text::ChatMessage& result, std::vector<text::ChatMessage>& messages) {
  std::string words = absl::StrCat(kResultBegin, result.content, kResultEnd);
  const bool follows_another = !messages.empty() && messages.back().role == "user" &&
                               absl::EndsWith(messages.back().content, kResultEnd);
  if (follows_another) {
    absl::StrAppend(&messages.back().content, "\n", words);
  } else {
    messages.push_back({.role = "user", .content = std::move(words)});
  }
}

void MoveCallsIntoContent(text::ChatMessage& message) {
  for (const text::ToolCall& call : message.tool_calls) {
    absl::StrAppend(
        &message.content, message.content.empty() ? "" : "\n",
        "<tool_call>\n{\"name\": ", boost::json::serialize(boost::json::string(call.name)),
        ", \"arguments\": ", call.arguments, "}\n</tool_call>");
  }
  message.tool_calls.clear();
}

void DescribeInSystemMessage(const std::vector<Tool>& tools,
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

}  // namespace

bool ShowsTools(const ToolOptions& options) {
  return !options.tools.empty() && options.choice != ToolChoice::kNone;
}

std::string ToolDefinitions(const ToolOptions& options) {
  if (!ShowsTools(options)) return {};
  std::string definitions;
  for (const Tool& tool : options.tools) {
    absl::StrAppend(&definitions, definitions.empty() ? "[" : ",", tool.definition);
  }
  return definitions + "]";
}

bool DropsTools(const ChatPrompt& prompt, const text::ToolSupport& support) {
  if (!support.definitions && ShowsTools(prompt.tools)) return true;
  return std::any_of(
      prompt.messages.begin(), prompt.messages.end(), [&](const text::ChatMessage& message) {
        if (message.role == "tool") return !support.results;
        return !message.tool_calls.empty() &&
               !(message.content.empty() ? support.calls : support.calls_beside_content);
      });
}

std::vector<text::ChatMessage> WithTools(const ChatPrompt& prompt,
                                         const text::ToolSupport& support) {
  std::vector<text::ChatMessage> messages;
  for (const text::ChatMessage& message : prompt.messages) {
    const bool is_continued =
        prompt.render.continue_final_message && &message == &prompt.messages.back();
    if (message.role == "tool" && !support.results) {
      AppendResult(message, messages);
    } else if (!message.tool_calls.empty() && !message.content.empty() &&
               !support.calls_beside_content && support.calls && !is_continued) {
      messages.push_back(message);
      messages.back().tool_calls.clear();
      messages.push_back({.role = message.role, .tool_calls = message.tool_calls});
    } else {
      messages.push_back(message);
      if (!support.calls) MoveCallsIntoContent(messages.back());
    }
  }
  if (!support.definitions && ShowsTools(prompt.tools)) {
    DescribeInSystemMessage(prompt.tools.tools, messages);
  }
  return messages;
}

}  // namespace weft::gateway
