#include "gateway/openai/format.h"

#include <utility>

#include "gateway/openai/chat_format.h"
#include "gateway/openai/completion_format.h"
#include "gateway/openai/error.h"
#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {

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
  out += finished.reason == gateway::FinishReason::kStop ? ",\"finish_reason\":\"stop\""
                                                         : ",\"finish_reason\":\"length\"";
  out += ",\"stop_reason\":";
  if (!finished.stop_string.empty()) {
    AppendQuoted(out, finished.stop_string);
  } else if (finished.stop_token >= 0) {
    AppendInt(out, finished.stop_token);
  } else {
    out += "null";
  }
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

ChunkWriter::ChunkWriter(const AnswerHead& head, std::string_view object,
                         const StreamOptions& options)
    : options_(options), opening_("data: ") {
  AppendHead(opening_, head, object);
}

void ChunkWriter::Open(std::string& out, int index) const {
  out += opening_;
  out += "{\"index\":";
  AppendInt(out, index);
}

void ChunkWriter::Close(std::string& out) const {
  out += "}]";
  if (options_.continuous_usage) {
    out += ",\"usage\":";
    AppendUsage(out,
                {.prompt_tokens = options_.prompt_tokens, .completion_tokens = completion_tokens_});
  } else if (options_.include_usage) {
    out += ",\"usage\":null";
  }
  out += "}\n\n";
}

void ChunkWriter::Usage(std::string& out, const gateway::Usage& usage) const {
  out += opening_;
  out += "],\"usage\":";
  AppendUsage(out, usage);
  out += "}\n\n";
}

std::unique_ptr<ChunkWriter> MakeChunkWriter(Endpoint endpoint, const AnswerHead& head,
                                             const StreamOptions& options, int num_choices,
                                             std::vector<std::string> echo) {
  if (endpoint == Endpoint::kChat) return std::make_unique<ChatChunks>(head, options, num_choices);
  return std::make_unique<CompletionChunks>(head, options, num_choices, std::move(echo));
}

std::string WholeAnswer(Endpoint endpoint, const AnswerHead& head,
                        const std::vector<CollectedChoice>& choices, const gateway::Usage& usage,
                        const std::vector<std::string>& echo, bool shows_prompt_logprobs) {
  std::string out;
  AppendHead(out, head, endpoint == Endpoint::kChat ? "chat.completion" : "text_completion");
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    out += "{\"index\":";
    AppendInt(out, static_cast<long long>(i));
    if (endpoint == Endpoint::kChat) {
      AppendChatChoice(out, choices[i]);
    } else {
      AppendCompletionChoice(out, choices[i], i < echo.size() ? echo[i] : std::string());
    }
    AppendFinish(out, choices[i].finished);
    if (shows_prompt_logprobs && endpoint == Endpoint::kCompletion && choices[i].prompt_logprobs) {
      AppendPromptLogprobs(out, *choices[i].prompt_logprobs);
    }
    out += '}';
  }
  out += "],\"usage\":";
  AppendUsage(out, usage);
  if (shows_prompt_logprobs && endpoint == Endpoint::kChat && choices.front().prompt_logprobs) {
    AppendPromptLogprobs(out, *choices.front().prompt_logprobs);
  }
  out += '}';
  return out;
}

void AppendErrorFrame(std::string& out, const absl::Status& status) {
  out += "data: ";
  out += ErrorBody(status);
  out += "\n\n";
}

void AppendDone(std::string& out) { out += "data: [DONE]\n\n"; }

}  // namespace weft::openai
