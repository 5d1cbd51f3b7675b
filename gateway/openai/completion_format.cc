#include "gateway/openai/completion_format.h"

#include <algorithm>
#include <utility>

#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"
#include "text/utf8.h"

namespace weft::openai {
namespace {

using gateway::Logprob;
using gateway::TokenLogprob;

// {"token":-0.1,...}: best first, the sampled one too if it is not among them. Two
// tokens may look the same as text; the likelier one keeps the key.
void AppendTop(std::string& out, const TokenLogprob& logprob) {
  std::vector<std::string> keys;
  out += '{';
  const auto add = [&](const Logprob& entry) {
    std::string key = text::ToUtf8(entry.token);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return;
    if (!keys.empty()) out += ',';
    AppendQuoted(out, key);
    out += ':';
    AppendLogprob(out, entry.logprob);
    keys.push_back(std::move(key));
  };
  for (const Logprob& entry : logprob.top) add(entry);
  add(logprob.token);
  out += '}';
}

// Advances `offset` by the tokens' characters. A token's bytes may begin inside a
// character: counted is where characters begin.
void AppendLogprobs(std::string& out, const std::vector<TokenLogprob>& logprobs, size_t& offset) {
  const auto list = [&](std::string_view key, const auto& append) {
    out.append(",\"").append(key).append("\":[");
    for (size_t i = 0; i < logprobs.size(); ++i) {
      if (i > 0) out += ',';
      append(logprobs[i]);
    }
    out += ']';
  };
  out += ",\"logprobs\":{\"text_offset\":[";
  for (size_t i = 0; i < logprobs.size(); ++i) {
    if (i > 0) out += ',';
    AppendInt(out, static_cast<long long>(offset));
    offset += NumCharacters(logprobs[i].token.token);
  }
  out += ']';
  list("token_logprobs", [&](const TokenLogprob& l) { AppendLogprob(out, l.token.logprob); });
  list("tokens", [&](const TokenLogprob& l) { AppendQuotedBytes(out, l.token.token); });
  list("top_logprobs", [&](const TokenLogprob& l) { AppendTop(out, l); });
  out += '}';
}

}  // namespace

CompletionChunks::CompletionChunks(const AnswerHead& head, const StreamOptions& options,
                                   int num_choices, std::vector<std::string> echo)
    : ChunkWriter(head, "text_completion", options), choices_(static_cast<size_t>(num_choices)) {
  for (size_t i = 0; i < std::min(choices_.size(), echo.size()); ++i) {
    choices_[i].text_offset = NumCharacters(echo[i]);
    choices_[i].echo = std::move(echo[i]);
  }
}

void CompletionChunks::Text(std::string& out, const gateway::Delta& delta) {
  Choice& choice = choices_[static_cast<size_t>(delta.index)];
  Open(out, delta.index);
  out += ",\"text\":";
  if (choice.echo.empty()) {
    AppendQuoted(out, delta.content);
  } else {
    AppendQuoted(out, std::exchange(choice.echo, {}) + delta.content);
  }
  if (delta.logprobs.empty()) {
    out += ",\"logprobs\":null";
  } else {
    AppendLogprobs(out, delta.logprobs, choice.text_offset);
  }
  out += ",\"finish_reason\":null,\"stop_reason\":null";
  Close(out);
}

void CompletionChunks::Delta(std::string& out, const gateway::Delta& delta) {
  Count(delta);
  const bool has_text =
      !delta.content.empty() || !choices_[static_cast<size_t>(delta.index)].echo.empty();
  if (has_text || !delta.logprobs.empty() || (continuous_usage() && delta.num_tokens > 0)) {
    Text(out, delta);
  }
}

void CompletionChunks::Finished(std::string& out, const gateway::ChoiceFinished& finished) {
  if (!choices_[static_cast<size_t>(finished.index)].echo.empty()) {
    Text(out, {.index = finished.index});
  }
  Open(out, finished.index);
  out += ",\"text\":\"\",\"logprobs\":null";
  AppendFinish(out, finished);
  Close(out);
}

void AppendCompletionChoice(std::string& out, const CollectedChoice& choice,
                            const std::string& echo) {
  out += ",\"text\":";
  if (echo.empty()) {
    AppendQuoted(out, choice.content);
  } else {
    AppendQuoted(out, echo + choice.content);
  }
  if (choice.logprobs) {
    size_t offset = NumCharacters(echo);
    AppendLogprobs(out, *choice.logprobs, offset);
  } else {
    out += ",\"logprobs\":null";
  }
}

}  // namespace weft::openai
