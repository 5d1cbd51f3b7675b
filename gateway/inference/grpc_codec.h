// weft.v1.InferenceService's messages to requests, events to its messages.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/inference/event.h"
#include "gateway/inference/request.h"
#include "gateway/inference/service.h"
#include "weft/v1/inference.pb.h"

namespace weft::gateway {

Request ReadRequest(const v1::ChatRequest& proto);
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

// Adds an event to an answer, or to a chunk of it: text is appended to its choice,
// which is added where it is missing. Failed has no place in a message.
void WriteEvent(const Event& event, v1::ChatResponse& message);
void WriteEvent(const Event& event, v1::ChatChunk& message);
void WriteEvent(const Event& event, v1::CompletionResponse& message);
void WriteEvent(const Event& event, v1::CompletionChunk& message);

// With the advice when to come back as the trailer that gRPC's retries obey.
grpc::Status WriteError(const absl::Status& status, absl::Duration retry_after,
                        grpc::ServerContextBase& context);

}  // namespace weft::gateway
