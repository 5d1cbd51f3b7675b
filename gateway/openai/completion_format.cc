#include "gateway/openai/completion_format.h"

#include <algorithm>
#include <span>
#include <utility>

#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"
#include "text/utf8.h"

namespace weft::openai {
namespace {

using gateway::Logprob;
using gateway::PromptLogprob;
using gateway::TokenLogprob;

// {"token":-0.1,...}: best first, the sampled one too if it is not among them. Two
// tokens may look the same as text; the likelier one keeps the key.
void AppendTop(std::string& out, const Logprob& token, const std::vector<Logprob>& top) {
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
  for (const Logprob& entry : top) add(entry);
  add(token);
  out += '}';
}

// An echoed prompt's text, and its tokens if their logprobs are told.
struct Echo {
  std::string_view text;
  std::span<const PromptLogprob> tokens;

  // The first token may be one that the tokenizer puts before any text.
  const Logprob* outside() const {
    if (tokens.empty()) return nullptr;
    const Logprob& first = tokens.front().token;
    return text.starts_with(first.token) ? nullptr : &first;
  }
};

// Of an echoed prompt, if there is one, and of the output behind it. Advances
// `offset` by the tokens' characters. A token's bytes may begin inside a character:
// counted is where characters begin.
void AppendLogprobs(std::string& out, const Echo& echo, std::span<const TokenLogprob> logprobs,
                    size_t& offset) {
  // `append` is called with each token, its top, and whether it has a logprob at all.
  const auto list = [&](std::string_view key, const auto& append) {
    bool is_first = true;
    const auto next = [&](const auto&... arguments) {
      if (!std::exchange(is_first, false)) out += ',';
      append(arguments...);
    };
    out.append("\"").append(key).append("\":[");
    for (const PromptLogprob& l : echo.tokens) next(l.token, l.top, l.rank > 0);
    for (const TokenLogprob& l : logprobs) next(l.token, l.top, true);
    out += ']';
  };
  out += ",\"logprobs\":{";
  list("text_offset", [&](const Logprob& token, const auto&, bool) {
    AppendInt(out, static_cast<long long>(offset));
    if (&token != echo.outside()) offset += NumCharacters(token.token);
  });
  out += ',';
  list("token_logprobs", [&](const Logprob& token, const auto&, bool has_logprob) {
    if (!has_logprob) {
      out += "null";
    } else {
      AppendLogprob(out, token.logprob);
    }
  });
  out += ',';
  list("tokens",
       [&](const Logprob& token, const auto&, bool) { AppendQuotedBytes(out, token.token); });
  out += ',';
  list("top_logprobs", [&](const Logprob& token, const auto& top, bool has_logprob) {
    if (!has_logprob) {
      out += "null";
    } else {
      AppendTop(out, token, top);
    }
  });
  out += '}';
}

}  // namespace

CompletionChunks::CompletionChunks(const AnswerHead& head, const StreamOptions& options,
                                   int num_choices, std::vector<std::string> echo)
    : Chunks(head, "text_completion", options), choices_(static_cast<size_t>(num_choices)) {
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
    AppendLogprobs(out, /*echo=*/{}, delta.logprobs, choice.text_offset);
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
    Echo echoed = {.text = echo, .tokens = {}};
    if (!echo.empty() && choice.prompt_logprobs) echoed.tokens = *choice.prompt_logprobs;
    size_t offset = echoed.tokens.empty() ? NumCharacters(echo) : 0;
    AppendLogprobs(out, echoed, *choice.logprobs, offset);
  } else {
    out += ",\"logprobs\":null";
  }
}

}  // namespace weft::openai
