#include "gateway/openai/chat_format.h"

#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

using gateway::TokenLogprob;

void AppendLogprobs(std::string& out, const std::vector<TokenLogprob>& logprobs) {
  out += ",\"logprobs\":{\"content\":";
  AppendTokenLogprobs(out, logprobs);
  out += ",\"refusal\":null}";
}

// vLLM and its clients have called it both.
void AppendReasoning(std::string& out, std::string_view reasoning) {
  out += "\"reasoning_content\":";
  AppendQuoted(out, reasoning);
  out += ",\"reasoning\":";
  AppendQuoted(out, reasoning);
}

// "function":{"name":"...","arguments":"..."}
void AppendFunction(std::string& out, std::string_view name, std::string_view arguments) {
  out += "\"function\":{";
  if (!name.empty()) {
    out += "\"name\":";
    AppendQuoted(out, name);
    out += ',';
  }
  out += "\"arguments\":";
  AppendQuoted(out, arguments);
  out += '}';
}

// The first part of a call has its id and name.
void AppendCallPart(std::string& out, const gateway::ToolCallDelta& part) {
  out += "\"tool_calls\":[{\"index\":";
  AppendInt(out, part.call);
  if (!part.id.empty()) {
    out += ",\"id\":";
    AppendQuoted(out, part.id);
    out += ",\"type\":\"function\"";
  }
  out += ',';
  AppendFunction(out, part.name, part.arguments);
  out += "}]";
}

}  // namespace

ChatChunks::ChatChunks(const AnswerHead& head, const StreamOptions& options, int num_choices)
    : Chunks(head, "chat.completion.chunk", options), has_role_(static_cast<size_t>(num_choices)) {}

void ChatChunks::Role(std::string& out, int index) {
  if (has_role_[static_cast<size_t>(index)]) return;
  has_role_[static_cast<size_t>(index)] = true;
  Open(out, index);
  out +=
      ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
      "\"finish_reason\":null";
  Close(out);
}

void ChatChunks::Delta(std::string& out, const gateway::Delta& delta) {
  Role(out, delta.index);
  Count(delta);
  const std::vector<TokenLogprob>* logprobs = delta.logprobs.empty() ? nullptr : &delta.logprobs;
  const auto logprobs_and_close = [&] {
    if (logprobs) {
      AppendLogprobs(out, *logprobs);
      logprobs = nullptr;
    } else {
      out += ",\"logprobs\":null";
    }
    out += ",\"finish_reason\":null";
    Close(out);
  };
  if (!delta.reasoning.empty()) {
    Open(out, delta.index);
    out += ",\"delta\":{";
    AppendReasoning(out, delta.reasoning);
    out += '}';
    logprobs_and_close();
  }
  const bool counts_only = delta.reasoning.empty() && delta.tool_calls.empty() &&
                           (logprobs || (continuous_usage() && delta.num_tokens > 0));
  if (!delta.content.empty() || counts_only) {
    Open(out, delta.index);
    out += ",\"delta\":{\"content\":";
    AppendQuoted(out, delta.content);
    out += '}';
    logprobs_and_close();
  }
  for (const gateway::ToolCallDelta& part : delta.tool_calls) {
    Open(out, delta.index);
    out += ",\"delta\":{";
    AppendCallPart(out, part);
    out += '}';
    logprobs_and_close();
  }
}

void ChatChunks::Finished(std::string& out, const gateway::ChoiceFinished& finished) {
  Role(out, finished.index);
  Open(out, finished.index);
  out += ",\"delta\":{},\"logprobs\":null";
  AppendFinish(out, finished);
  Close(out);
}

void AppendChatChoice(std::string& out, const CollectedChoice& choice) {
  out += ",\"message\":{\"role\":\"assistant\",\"content\":";
  if (choice.content.empty() && !choice.tool_calls.empty()) {
    out += "null";
  } else {
    AppendQuoted(out, choice.content);
  }
  out += ",\"refusal\":null,";
  if (choice.reasoning.empty()) {
    out += "\"reasoning_content\":null,\"reasoning\":null";
  } else {
    AppendReasoning(out, choice.reasoning);
  }
  if (!choice.tool_calls.empty()) {
    out += ",\"tool_calls\":";
    for (size_t i = 0; i < choice.tool_calls.size(); ++i) {
      const text::ToolCall& call = choice.tool_calls[i];
      out += i > 0 ? ",{\"id\":" : "[{\"id\":";
      AppendQuoted(out, call.id);
      out += ",\"type\":\"function\",";
      AppendFunction(out, call.name, call.arguments);
      out += '}';
    }
    out += ']';
  }
  out += '}';
  if (choice.logprobs) {
    AppendLogprobs(out, *choice.logprobs);
  } else {
    out += ",\"logprobs\":null";
  }
}

}  // namespace weft::openai
