#include "gateway/inference/grpc_codec.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "gateway/inference/param_error.h"
#include "text/utf8.h"

namespace weft::gateway {
namespace {

GenerationOptions ReadOptions(const v1::GenerationOptions& proto) {
  GenerationOptions o;
  if (proto.has_max_tokens()) o.max_tokens = proto.max_tokens();
  if (proto.has_temperature()) o.temperature = proto.temperature();
  if (proto.has_top_p()) o.top_p = proto.top_p();
  if (proto.has_top_k()) o.top_k = proto.top_k();
  if (proto.has_min_p()) o.min_p = proto.min_p();
  if (proto.has_repetition_penalty()) o.repetition_penalty = proto.repetition_penalty();
  if (proto.has_presence_penalty()) o.presence_penalty = proto.presence_penalty();
  if (proto.has_frequency_penalty()) o.frequency_penalty = proto.frequency_penalty();
  for (const auto& [id, value] : proto.logit_bias()) o.logit_bias.emplace_back(id, value);
  std::sort(o.logit_bias.begin(), o.logit_bias.end());  // a map has no order to report errors in
  if (proto.has_seed()) o.seed = proto.seed();
  o.stop.assign(proto.stop().begin(), proto.stop().end());
  o.stop_token_ids.assign(proto.stop_token_ids().begin(), proto.stop_token_ids().end());
  if (proto.has_n()) o.n = proto.n();
  if (proto.has_min_tokens()) o.min_tokens = proto.min_tokens();
  if (proto.has_logprobs()) o.logprobs = proto.logprobs();
  if (proto.has_prompt_logprobs()) o.prompt_logprobs = proto.prompt_logprobs();
  o.ignore_eos = proto.ignore_eos();
  o.include_stop_str_in_output = proto.include_stop_str_in_output();
  if (proto.has_skip_special_tokens()) o.skip_special_tokens = proto.skip_special_tokens();
  o.priority = proto.priority();
  return o;
}

template <typename Messages>
ChatPrompt ReadMessages(const Messages& messages) {
  ChatPrompt prompt;
  for (const v1::ChatMessage& message : messages) {
    prompt.messages.push_back({.role = message.role(),
                               .content = message.content(),
                               .reasoning_content = message.reasoning_content()});
  }
  return prompt;
}

// ---- answers ----

template <typename Message>
auto& FindChoice(Message& message, int index) {
  for (auto& choice : *message.mutable_choices()) {
    if (choice.index() == static_cast<uint32_t>(index)) return choice;
  }
  auto& choice = *message.add_choices();
  choice.set_index(static_cast<uint32_t>(index));
  return choice;
}

void WriteText(const Delta& delta, v1::ChatChoice& choice) {
  v1::ChatMessage& message = *choice.mutable_message();
  message.set_role("assistant");
  message.mutable_content()->append(delta.content);
  message.mutable_reasoning_content()->append(delta.reasoning);
}

void WriteText(const Delta& delta, v1::CompletionChoice& choice) {
  choice.mutable_text()->append(delta.content);
}

void WriteLogprob(const Logprob& logprob, v1::Logprob& proto) {
  proto.set_id(logprob.id);
  proto.set_logprob(logprob.logprob);
  proto.set_token_bytes(logprob.token);
  // A token may be a part of a character; a proto string may not.
  proto.set_token(text::ToUtf8(logprob.token));
}

template <typename Message>
void WriteAny(const Event& event, Message& message) {
  if (const auto* delta = std::get_if<Delta>(&event)) {
    auto& choice = FindChoice(message, delta->index);
    WriteText(*delta, choice);
    for (const TokenLogprob& logprob : delta->logprobs) {
      v1::TokenLogprob& proto = *choice.add_logprobs();
      WriteLogprob(logprob.token, *proto.mutable_token());
      for (const Logprob& top : logprob.top) WriteLogprob(top, *proto.add_top());
    }
  } else if (const auto* finished = std::get_if<ChoiceFinished>(&event)) {
    auto& choice = FindChoice(message, finished->index);
    choice.set_finish_reason(finished->reason == FinishReason::kLength ? "length" : "stop");
    choice.set_stop_reason(finished->stop_string);
  } else if (const auto* completed = std::get_if<Completed>(&event)) {
    v1::Usage& usage = *message.mutable_usage();
    usage.set_prompt_tokens(static_cast<uint32_t>(completed->usage.prompt_tokens));
    usage.set_completion_tokens(static_cast<uint32_t>(completed->usage.completion_tokens));
    usage.set_cached_tokens(static_cast<uint32_t>(completed->usage.cached_tokens));
    usage.set_reasoning_tokens(static_cast<uint32_t>(completed->usage.reasoning_tokens));
    if constexpr (requires { message.prompt_logprobs(); }) {  // not in chunks
      for (const PromptLogprob& logprob : completed->prompt_logprobs) {
        v1::PromptLogprob& proto = *message.add_prompt_logprobs();
        WriteLogprob(logprob.token, *proto.mutable_token());
        proto.set_rank(static_cast<uint32_t>(logprob.rank));
        for (const Logprob& top : logprob.top) WriteLogprob(top, *proto.add_top());
      }
    }
  }
}

}  // namespace

Request ReadRequest(const v1::ChatRequest& proto) {
  Request request;
  request.model = proto.model();
  request.prompt = ReadMessages(proto.messages());
  request.options = ReadOptions(proto.options());
  request.split_reasoning = true;
  return request;
}

absl::StatusOr<Request> ReadRequest(const v1::CompletionRequest& proto) {
  Request request;
  request.model = proto.model();
  request.options = ReadOptions(proto.options());
  switch (proto.prompt_case()) {
    case v1::CompletionRequest::kText:
      request.prompt = TextPrompt{.text = proto.text()};
      return request;
    case v1::CompletionRequest::kTokens:
      request.prompt =
          TokenPrompt{.tokens = {proto.tokens().ids().begin(), proto.tokens().ids().end()}};
      return request;
    default:
      return ParamError("prompt", "One of text and tokens must be set.");
  }
}

absl::StatusOr<Request> ReadRequest(const v1::TokenizeRequest& proto) {
  Request request;
  request.model = proto.model();
  switch (proto.input_case()) {
    case v1::TokenizeRequest::kText:
      request.prompt =
          TextPrompt{.text = proto.text(),
                     .add_special = !proto.has_add_special_tokens() || proto.add_special_tokens()};
      return request;
    case v1::TokenizeRequest::kChat:
      request.prompt = ReadMessages(proto.chat().messages());
      return request;
    default:
      return ParamError("input", "One of text and chat must be set.");
  }
}

AnswerHead MakeHead(const char* prefix, std::string model) {
  thread_local std::mt19937_64 random{std::random_device()()};
  return {.id = absl::StrFormat("%s-%016x%016x", prefix, random(), random()),
          .model = std::move(model),
          .created = absl::ToUnixSeconds(absl::Now())};
}

void WriteEvent(const Event& event, v1::ChatResponse& message) { WriteAny(event, message); }
void WriteEvent(const Event& event, v1::ChatChunk& message) { WriteAny(event, message); }
void WriteEvent(const Event& event, v1::CompletionResponse& message) { WriteAny(event, message); }
void WriteEvent(const Event& event, v1::CompletionChunk& message) { WriteAny(event, message); }

grpc::Status WriteError(const absl::Status& status, absl::Duration retry_after,
                        grpc::ServerContextBase& context) {
  int64_t retry_ms = absl::ToInt64Milliseconds(retry_after);
  if (const auto advice = status.GetPayload(kRetryAfterPayload); advice && retry_ms == 0) {
    (void)absl::SimpleAtoi(std::string(*advice), &retry_ms);
  }
  if (retry_ms > 0) context.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(retry_ms));
  return ToGrpc(status);
}

}  // namespace weft::gateway
