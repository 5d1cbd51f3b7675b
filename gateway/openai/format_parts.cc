#include "gateway/openai/format_parts.h"

#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

std::string_view FinishName(gateway::FinishReason reason) {
  switch (reason) {
    case gateway::FinishReason::kStop:
      return "stop";
    case gateway::FinishReason::kLength:
      return "length";
    case gateway::FinishReason::kToolCalls:
      return "tool_calls";
  }
  return "stop";
}

// "token":"...","logprob":-0.1,"bytes":[...]
void AppendLogprobFields(std::string& out, const gateway::Logprob& logprob) {
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

}  // namespace

void AppendHead(std::string& out, const AnswerHead& head, std::string_view object) {
  out += "{\"id\":";
  AppendQuoted(out, head.id);
  out += ",\"object\":";
  AppendQuoted(out, object);
  out += ",\"created\":";
  AppendInt(out, head.created);
  out += ",\"model\":";
  AppendQuotedBytes(out, head.model);
  out += ",\"choices\":[";
}

void AppendUsage(std::string& out, const gateway::Usage& usage) {
  out += "{\"prompt_tokens\":";
  AppendInt(out, usage.prompt_tokens);
  out += ",\"total_tokens\":";
  AppendInt(out, usage.prompt_tokens + usage.completion_tokens);
  out += ",\"completion_tokens\":";
  AppendInt(out, usage.completion_tokens);
  out += ",\"prompt_tokens_details\":{\"cached_tokens\":";
  AppendInt(out, usage.cached_tokens);
  out += "},\"completion_tokens_details\":{\"reasoning_tokens\":";
  AppendInt(out, usage.reasoning_tokens);
  out += "}}";
}

void AppendFinish(std::string& out, const gateway::ChoiceFinished& finished) {
  out += ",\"finish_reason\":";
  AppendQuoted(out, FinishName(finished.reason));
  out += ",\"stop_reason\":";
  if (!finished.stop_string.empty()) {
    AppendQuoted(out, finished.stop_string);
  } else if (finished.stop_token >= 0) {
    AppendInt(out, finished.stop_token);
  } else {
    out += "null";
  }
}

void AppendTokenLogprobs(std::string& out, const std::vector<gateway::TokenLogprob>& logprobs) {
  out += '[';
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
  out += ']';
}

void AppendPromptLogprobs(std::string& out, const std::vector<gateway::PromptLogprob>& logprobs) {
  out += ",\"prompt_logprobs\":[";
  for (size_t i = 0; i < logprobs.size(); ++i) {
    const gateway::PromptLogprob& one = logprobs[i];
    if (i > 0) out += ',';
    if (one.rank == 0) {
      out += "null";
      continue;
    }
    const auto add = [&out](const gateway::Logprob& entry, int rank) {
      out += '"';
      AppendInt(out, entry.id);
      out += "\":{\"logprob\":";
      AppendLogprob(out, entry.logprob);
      out += ",\"rank\":";
      AppendInt(out, rank);
      out += ",\"decoded_token\":";
      AppendQuotedBytes(out, entry.token);
      out += '}';
    };
    out += '{';
    add(one.token, one.rank);
    int rank = 0;
    for (const gateway::Logprob& entry : one.top) {
      ++rank;
      if (entry.id == one.token.id) continue;
      out += ',';
      add(entry, rank);
    }
    out += '}';
  }
  out += ']';
}

}  // namespace weft::openai
