#include "gateway/openai/response_format.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/error.h"
#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

using gateway::TokenLogprob;

// Of a delta's logprobs those of its content: the last, for reasoning comes first.
std::vector<TokenLogprob> ContentLogprobs(const gateway::Delta& delta) {
  if (delta.reasoning.empty()) return delta.logprobs;
  size_t bytes = 0;
  auto first = delta.logprobs.end();
  while (first != delta.logprobs.begin() && bytes < delta.content.size()) {
    bytes += (--first)->token.token.size();
  }
  return {first, delta.logprobs.end()};
}

void AppendResponseUsage(std::string& out, const gateway::Usage& usage) {
  out += "{\"input_tokens\":";
  AppendInt(out, usage.prompt_tokens);
  out += ",\"input_tokens_details\":{\"cached_tokens\":";
  AppendInt(out, usage.cached_tokens);
  // Nobody pays for writing to this cache.
  out += ",\"cache_write_tokens\":0},\"output_tokens\":";
  AppendInt(out, usage.completion_tokens);
  out += ",\"output_tokens_details\":{\"reasoning_tokens\":";
  AppendInt(out, usage.reasoning_tokens);
  out += "},\"total_tokens\":";
  AppendInt(out, usage.prompt_tokens + usage.completion_tokens);
  out += '}';
}

// One of the few codes that the published schema has.
std::string_view ErrorCode(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return "invalid_prompt";
  return absl::IsResourceExhausted(status) ? "rate_limit_exceeded" : "server_error";
}

void AppendMember(std::string& out, std::string_view key, std::string_view value) {
  out.append(",\"").append(key).append("\":");
  AppendQuoted(out, value);
}

// "code" and "message", without what is around them.
void AppendError(std::string& out, const absl::Status& status) {
  out += "\"code\":";
  AppendQuoted(out, ErrorCode(status));
  const absl::string_view message = status.message();
  out += ",\"message\":";
  AppendQuotedBytes(out, {message.data(), message.size()});
}

}  // namespace

ResponseWriter::ResponseWriter(const AnswerHead& head, std::string repeated, bool is_stream)
    : head_(head), repeated_(std::move(repeated)), is_stream_(is_stream) {}

void ResponseWriter::Delta(std::string& out, const gateway::Delta& delta) {
  Begin(out);
  if (!delta.reasoning.empty()) AppendText(out, Kind::kReasoning, delta.reasoning, {});
  if (!delta.content.empty()) {
    AppendText(out, Kind::kMessage, delta.content, ContentLogprobs(delta));
  }
  for (const gateway::ToolCallDelta& part : delta.tool_calls) {
    Open(out, Kind::kCall, &part).text += part.arguments;
    if (part.arguments.empty()) continue;
    Event(out, "response.function_call_arguments.delta", [&] {
      AppendPlace(out);
      AppendMember(out, "delta", part.arguments);
    });
  }
}

void ResponseWriter::Finished(std::string& out, const gateway::ChoiceFinished& finished) {
  Begin(out);
  if (finished.reason == gateway::FinishReason::kLength) status_ = Status::kIncomplete;
  Close(out, status_);
}

void ResponseWriter::Completed(std::string& out, const gateway::Usage& usage) {
  if (!is_stream_) return AppendResponse(out, status_, &usage);
  Event(out, absl::StrCat("response.", std::string(Name(status_))), [&] {
    out += ",\"response\":";
    AppendResponse(out, status_, &usage);
  });
}

void ResponseWriter::Failed(std::string& out, const absl::Status& status) {
  Begin(out);
  if (!items_.empty() && items_.back().status == Status::kInProgress) {
    items_.back().status = Status::kIncomplete;
  }
  Event(out, "error", [&] {
    out += ',';
    AppendError(out, status);
    out += ",\"param\":null";
  });
  Event(out, "response.failed", [&] {
    out += ",\"response\":";
    AppendResponse(out, Status::kFailed, nullptr, status);
  });
}

std::string_view ResponseWriter::Name(Status status) {
  switch (status) {
    case Status::kInProgress:
      return "in_progress";
    case Status::kCompleted:
      return "completed";
    case Status::kIncomplete:
      return "incomplete";
    case Status::kFailed:
      return "failed";
  }
  return "";
}

void ResponseWriter::Begin(std::string& out) {
  if (std::exchange(has_begun_, true)) return;
  for (const char* type : {"response.created", "response.in_progress"}) {
    Event(out, type, [&] {
      out += ",\"response\":";
      AppendResponse(out, Status::kInProgress, nullptr);
    });
  }
}

ResponseWriter::Item& ResponseWriter::Open(std::string& out, Kind kind,
                                           const gateway::ToolCallDelta* call) {
  if (!items_.empty()) {
    Item& last = items_.back();
    const bool is_same = last.kind == kind && (!call || last.call == call->call);
    if (last.status == Status::kInProgress && is_same) return last;
    Close(out, Status::kCompleted);
  }
  Item item = {.kind = kind};
  const char* prefix = kind == Kind::kReasoning ? "rs_" : kind == Kind::kMessage ? "msg_" : "fc_";
  item.id = absl::StrCat(prefix, head_.id.substr(head_.id.find('_') + 1), "_", items_.size());
  if (call) {
    item.call = call->call;
    item.call_id = call->id;
    item.name = call->name;
  }
  items_.push_back(std::move(item));
  ItemEvent(out, "response.output_item.added");
  if (kind != Kind::kCall) PartEvent(out, "response.content_part.added");
  return items_.back();
}

void ResponseWriter::Close(std::string& out, Status status) {
  if (items_.empty() || items_.back().status != Status::kInProgress) return;
  Item& item = items_.back();
  item.status = status;
  switch (item.kind) {
    case Kind::kReasoning:
      Event(out, "response.reasoning_text.done", [&] {
        AppendPlace(out);
        AppendMember(out, "text", item.text);
      });
      break;
    case Kind::kMessage:
      Event(out, "response.output_text.done", [&] {
        AppendPlace(out);
        AppendMember(out, "text", item.text);
        out += ",\"logprobs\":";
        AppendTokenLogprobs(out, item.logprobs);
      });
      break;
    case Kind::kCall:
      Event(out, "response.function_call_arguments.done", [&] {
        AppendPlace(out);
        AppendMember(out, "name", item.name);
        AppendMember(out, "arguments", item.text);
      });
      break;
  }
  if (item.kind != Kind::kCall) PartEvent(out, "response.content_part.done");
  ItemEvent(out, "response.output_item.done");
}

void ResponseWriter::AppendText(std::string& out, Kind kind, std::string_view text,
                                std::vector<TokenLogprob> logprobs) {
  Item& item = Open(out, kind);
  item.text += text;
  const bool is_message = kind == Kind::kMessage;
  Event(out, is_message ? "response.output_text.delta" : "response.reasoning_text.delta", [&] {
    AppendPlace(out);
    AppendMember(out, "delta", text);
    if (!is_message) return;
    out += ",\"logprobs\":";
    AppendTokenLogprobs(out, logprobs);
  });
  item.logprobs.insert(item.logprobs.end(), std::make_move_iterator(logprobs.begin()),
                       std::make_move_iterator(logprobs.end()));
}

template <typename Append>
void ResponseWriter::Event(std::string& out, std::string_view type, const Append& append) {
  if (!is_stream_) return;
  out.append("event: ").append(type).append("\ndata: {\"type\":");
  AppendQuoted(out, type);
  out += ",\"sequence_number\":";
  AppendInt(out, sequence_number_++);
  append();
  out += "}\n\n";
}

void ResponseWriter::ItemEvent(std::string& out, std::string_view type) {
  Event(out, type, [&] {
    out += ",\"output_index\":";
    AppendInt(out, static_cast<long long>(items_.size()) - 1);
    out += ",\"item\":";
    AppendItem(out, items_.back());
  });
}

void ResponseWriter::PartEvent(std::string& out, std::string_view type) {
  Event(out, type, [&] {
    AppendPlace(out);
    out += ",\"part\":";
    AppendPart(out, items_.back());
  });
}

void ResponseWriter::AppendPlace(std::string& out) const {
  AppendMember(out, "item_id", items_.back().id);
  out += ",\"output_index\":";
  AppendInt(out, static_cast<long long>(items_.size()) - 1);
  if (items_.back().kind != Kind::kCall) out += ",\"content_index\":0";
}

void ResponseWriter::AppendPart(std::string& out, const Item& item) {
  if (item.kind == Kind::kReasoning) {
    out += "{\"type\":\"reasoning_text\",\"text\":";
    AppendQuoted(out, item.text);
  } else {
    out += "{\"type\":\"output_text\",\"text\":";
    AppendQuoted(out, item.text);
    out += ",\"annotations\":[],\"logprobs\":";
    AppendTokenLogprobs(out, item.logprobs);
  }
  out += '}';
}

void ResponseWriter::AppendItem(std::string& out, const Item& item) {
  out += "{\"id\":";
  AppendQuoted(out, item.id);
  // An item that has just been added is empty, and gets its part next.
  const bool has_part = item.status != Status::kInProgress;
  const auto append_content = [&] {
    out += ",\"content\":[";
    if (has_part) AppendPart(out, item);
    out += ']';
  };
  switch (item.kind) {
    case Kind::kReasoning:
      out += ",\"type\":\"reasoning\",\"summary\":[]";
      append_content();
      break;
    case Kind::kMessage:
      out += ",\"type\":\"message\",\"role\":\"assistant\"";
      append_content();
      break;
    case Kind::kCall:
      out += ",\"type\":\"function_call\"";
      AppendMember(out, "call_id", item.call_id);
      AppendMember(out, "name", item.name);
      AppendMember(out, "arguments", item.text);
      break;
  }
  AppendMember(out, "status", Name(item.status));
  out += '}';
}

void ResponseWriter::AppendResponse(std::string& out, Status status, const gateway::Usage* usage,
                                    const absl::Status& error) const {
  out += "{\"id\":";
  AppendQuoted(out, head_.id);
  out += ",\"object\":\"response\",\"created_at\":";
  AppendInt(out, head_.created);
  AppendMember(out, "status", Name(status));
  out += ",\"completed_at\":";
  if (status == Status::kCompleted) {
    AppendInt(out, std::time(nullptr));
  } else {
    out += "null";
  }
  out += ",\"error\":";
  if (error.ok()) {
    out += "null";
  } else {
    out += '{';
    AppendError(out, error);
    out += '}';
  }
  out += ",\"incomplete_details\":";
  out += status == Status::kIncomplete ? "{\"reason\":\"max_output_tokens\"}" : "null";
  out += ",\"model\":";
  AppendQuotedBytes(out, head_.model);
  out += ',';
  out += repeated_;
  out += ",\"output\":[";
  for (size_t i = 0; i < items_.size(); ++i) {
    if (i > 0) out += ',';
    AppendItem(out, items_[i]);
  }
  out += ']';
  if (usage) {
    out += ",\"usage\":";
    AppendResponseUsage(out, *usage);
  }
  out += '}';
}

}  // namespace weft::openai
