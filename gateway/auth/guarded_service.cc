#include "gateway/auth/guarded_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "gateway/auth/caller.h"

namespace weft::auth {
namespace {

using gateway::Event;
using gateway::StartedRequest;

// Charges the prompt at once, each token of the answer as it is taken, and at the end what no
// delta told of. A request that is cancelled pays for what was taken of it.
class ChargedStream final : public gateway::EventStream {
 public:
  ChargedStream(std::unique_ptr<gateway::EventStream> events, std::shared_ptr<Permit> permit,
                int prompt_tokens)
      : events_(std::move(events)), permit_(std::move(permit)) {
    permit_->UseTokens(prompt_tokens);
  }

  void OnReadable(std::function<void()> readable) override {
    events_->OnReadable(std::move(readable));
  }

  std::vector<Event> Take() override {
    std::vector<Event> events = events_->Take();
    int64_t num_new = 0;
    for (const Event& event : events) {
      if (const auto* delta = std::get_if<gateway::Delta>(&event)) num_new += delta->num_tokens;
      if (const auto* completed = std::get_if<gateway::Completed>(&event)) {
        num_new = std::max<int64_t>(0, completed->usage.completion_tokens - num_charged_);
      }
    }
    num_charged_ += num_new;
    if (num_new > 0) permit_->UseTokens(num_new);
    return events;
  }

 private:
  const std::unique_ptr<gateway::EventStream> events_;
  const std::shared_ptr<Permit> permit_;
  int64_t num_charged_ = 0;  // of the answer
};

}  // namespace

absl::Status GuardedService::Resolve(gateway::Request& request) const {
  if (request.permit != nullptr) {
    return request.permit->caller().ResolveModel(service_, request.model);
  }
  if (!requires_permit_) return absl::OkStatus();
  return absl::InternalError("a request came without its permit");
}

void GuardedService::Start(gateway::Request request,
                           std::function<void(absl::StatusOr<StartedRequest>)> done) {
  if (absl::Status status = Resolve(request); !status.ok()) return done(status);
  if (request.permit == nullptr) return service_.Start(std::move(request), std::move(done));
  auto permit = std::exchange(request.permit, nullptr);
  service_.Start(std::move(request), [done = std::move(done), permit = std::move(permit)](
                                         absl::StatusOr<StartedRequest> started) {
    if (started.ok()) {
      started->events = std::make_unique<ChargedStream>(std::move(started->events), permit,
                                                        started->prompt_tokens);
    }
    done(std::move(started));
  });
}

absl::StatusOr<std::vector<text::TokenId>> GuardedService::Tokenize(
    const gateway::Request& request) const {
  if (request.permit == nullptr && !requires_permit_) return service_.Tokenize(request);
  gateway::Request own = request;  // its model may be named anew
  if (absl::Status status = Resolve(own); !status.ok()) return status;
  return service_.Tokenize(own);
}

}  // namespace weft::auth
