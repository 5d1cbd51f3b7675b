// weft.v1.InferenceService's messages to requests, events to its messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/inference/event.h"
#include "gateway/inference/request.h"
#include "gateway/inference/service.h"
#include "text/tokenizer.h"
#include "weft/v1/inference.pb.h"

namespace weft::gateway {

// Errors name the field by its path in the message, as in "tools[0].parameters".
absl::StatusOr<Request> ReadRequest(const v1::ChatRequest& proto);
absl::StatusOr<Request> ReadRequest(const v1::CompletionRequest& proto);
absl::StatusOr<Request> ReadRequest(const v1::TokenizeRequest& proto);

// What stands in every message of one answer.
struct AnswerHead {
  std::string id;
  std::string model;
  int64_t created = 0;  // Unix seconds
};

// A new id: "chatcmpl-…" or "cmpl-…".
AnswerHead MakeHead(const char* prefix, std::string model);

template <typename Message>
void WriteHead(const AnswerHead& head, Message& message) {
  message.set_id(head.id);
  message.set_model(head.model);
  message.set_created(head.created);
}

// The prompt's ids, where they are asked for.
template <typename Message>
void WritePrompt(const std::vector<text::TokenId>& prompt, Message& message) {
  message.mutable_prompt_token_ids()->Assign(prompt.begin(), prompt.end());
}

// Adds an event to an answer, or to a chunk of it: text is appended to its choice,
// which is added where it is missing. Failed has no place in a message.
void WriteEvent(const Event& event, v1::ChatResponse& message);
void WriteEvent(const Event& event, v1::ChatChunk& message);
void WriteEvent(const Event& event, v1::CompletionResponse& message);
void WriteEvent(const Event& event, v1::CompletionChunk& message);

// tokenizer_config.json's terms, as Service::TokenizerInfo has them.
absl::Status WriteTokenizerInfo(const std::string& json, v1::GetTokenizerInfoResponse& response);

}  // namespace weft::gateway
