// The gateway's middle: a Request in, a stream of Events out. Validation,
// templates, tokenizing, detokenizing, stop strings, reasoning and usage happen
// here, once, for every codec.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/inference/event.h"
#include "gateway/inference/request.h"

namespace weft::gateway {

// One request's events. Made by Service::Start; owned by the codec. Destroying it
// before its last event cancels the request: its blocks are free within a second.
//
// Thread safety: one consumer thread at a time.
class EventStream {
 public:
  virtual ~EventStream() = default;

  // Calls `readable` (on any thread, never inside this call) once, when Take has
  // something to give. Set anew after each Take that came up short. It may be on its
  // way while the stream is destroyed, so it owns what it touches.
  virtual void OnReadable(std::function<void()> readable) = 0;

  // Everything that has happened since the last Take, adjacent deltas of a choice
  // merged; empty if nothing has. Never blocks. A reader that is slow thus takes
  // fewer, larger deltas and delays nobody.
  virtual std::vector<Event> Take() = 0;
};

struct StartedRequest {
  std::unique_ptr<EventStream> events;
  int num_choices = 1;
  int prompt_tokens = 0;
  std::shared_ptr<const std::vector<text::TokenId>> prompt;
  std::string model;  // the served name
};

struct ModelInfo {
  std::string id;         // the served name
  std::string root;       // the model directory or hub id
  int64_t created = 0;    // Unix seconds
  int max_model_len = 0;  // 0 while no worker has told it
};

// Errors of every method: InvalidArgument (400; the message says which field and
// what would be right, with the field's name as the payload kParamPayload),
// NotFound (unknown model), ResourceExhausted (429), Unavailable (503: no worker,
// queue full, draining; kRetryAfterPayload in milliseconds).
inline constexpr char kParamPayload[] = "weft/param";
inline constexpr char kCodePayload[] = "weft/code";  // e.g. context_length_exceeded
inline constexpr char kRetryAfterPayload[] = "weft/retry-after-ms";

// Thread safety: any thread, at once.
class Service {
 public:
  virtual ~Service() = default;

  // Validates, tokenizes and submits. The work of a long prompt is done on the
  // service's own pool: `done` is called there, once.
  virtual void Start(Request request, std::function<void(absl::StatusOr<StartedRequest>)> done) = 0;

  virtual std::vector<ModelInfo> Models() const = 0;

  // As Start would encode the prompt. `model` as in Request.
  virtual absl::StatusOr<std::vector<text::TokenId>> Tokenize(const Request& request) const = 0;
  virtual absl::StatusOr<std::string> Detokenize(const std::string& model,
                                                 const std::vector<int64_t>& tokens) const = 0;
  // The token's text for a client, U+FFFD for bytes that are no UTF-8.
  virtual std::string TokenText(const std::string& model, text::TokenId id) const = 0;

  // For clients that tokenize themselves: a JSON object, in the terms of
  // tokenizer_config.json.
  virtual absl::StatusOr<std::string> TokenizerInfo(const std::string& model) const = 0;

  // OK when a request would be served now; else why not (/health, /readyz).
  virtual absl::Status Ready() const = 0;
};

}  // namespace weft::gateway
