#include "gateway/openai/chat_format.h"

#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

using gateway::Logprob;
using gateway::TokenLogprob;

// "token":"...","logprob":-0.1,"bytes":[...]
void AppendLogprobFields(std::string& out, const Logprob& logprob) {
  out += "\"token\":";
  AppendQuotedBytes(out, logprob.token);
  out += ",\"logprob\":";
  AppendLogprob(out, logprob.logprob);
  out += ",\"bytes\":[";
  for (size_t i = 0; i < logprob.token.size(); ++i) {
    if (i > 0) out += ',';
    AppendInt(out, static_cast<unsigned char>(logprob.token[i]));
  }
  out += ']';
}

void AppendLogprobs(std::string& out, const std::vector<TokenLogprob>& logprobs) {
  out += ",\"logprobs\":{\"content\":[";
  for (size_t i = 0; i < logprobs.size(); ++i) {
    out += i > 0 ? ",{" : "{";
    AppendLogprobFields(out, logprobs[i].token);
    out += ",\"top_logprobs\":[";
    for (size_t k = 0; k < logprobs[i].top.size(); ++k) {
      out += k > 0 ? ",{" : "{";
      AppendLogprobFields(out, logprobs[i].top[k]);
      out += '}';
    }
    out += "]}";
  }
  out += "],\"refusal\":null}";
}

// vLLM and its clients have called it both.
void AppendReasoning(std::string& out, std::string_view reasoning) {
  out += "\"reasoning_content\":";
  AppendQuoted(out, reasoning);
  out += ",\"reasoning\":";
  AppendQuoted(out, reasoning);
}

}  // namespace

ChatChunks::ChatChunks(const AnswerHead& head, const StreamOptions& options, int num_choices)
    : ChunkWriter(head, "chat.completion.chunk", options),
      has_role_(static_cast<size_t>(num_choices)) {}

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
  const bool counts_only =
      delta.reasoning.empty() && (logprobs || (continuous_usage() && delta.num_tokens > 0));
  if (!delta.content.empty() || counts_only) {
    Open(out, delta.index);
    out += ",\"delta\":{\"content\":";
    AppendQuoted(out, delta.content);
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
  AppendQuoted(out, choice.content);
  out += ",\"refusal\":null,";
  if (choice.reasoning.empty()) {
    out += "\"reasoning_content\":null,\"reasoning\":null";
  } else {
    AppendReasoning(out, choice.reasoning);
  }
  out += '}';
  if (choice.logprobs) {
    AppendLogprobs(out, *choice.logprobs);
  } else {
    out += ",\"logprobs\":null";
  }
}

}  // namespace weft::openai
