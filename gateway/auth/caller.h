// Who calls, once a key has said so, and what that key may do.
//
//   Access (access.h)   a key        ->  Caller
//   Caller::Enter       a request    ->  Permit, held while the request runs
//   Permit::UseTokens   what it used, as it uses it
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/auth/api_key.h"
#include "gateway/auth/meter.h"
#include "gateway/inference/service.h"

namespace weft::auth {

struct KeyEntry {
  std::string name;
  KeyHash hash;
  // Whose requests these are. Without one the key says nothing of it: --tenant-header does,
  // or all are one tenant.
  std::optional<std::string> tenant;
  std::vector<std::string> models;  // served names; empty: all
  KeyLimits limits;
};

using Clock = std::function<Time()>;

class Permit;

// Immutable but for its meter; any thread.
class Caller : public std::enable_shared_from_this<Caller> {
 public:
  // `meter` is the key's, whatever its entry was before. `refused` hears of requests that
  // are not let in.
  using OnRefused = std::function<void(const Caller&, Limit)>;
  Caller(KeyEntry entry, std::shared_ptr<Meter> meter, Clock clock, OnRefused refused);

  const KeyEntry& entry() const { return entry_; }
  const std::shared_ptr<Meter>& meter() const { return meter_; }

  // Lets one request in. ResourceExhausted, with code rate_limit_exceeded and when to come
  // back, if a limit stands against it.
  absl::StatusOr<std::shared_ptr<Permit>> Enter() const;

  // Of what is served, what this key may see.
  std::vector<gateway::ModelInfo> Visible(std::vector<gateway::ModelInfo> models) const;
  // Replaces "", the one model, by its name if the key may see a part of them only. NotFound for
  // what it may not see, as for what there is not: a key learns nothing of other models.
  absl::Status ResolveModel(const gateway::Service& service, std::string& model) const;

  // One line of headers each, as OpenAI has them: x-ratelimit-limit-requests and its kin, of
  // the limits that the key has. Complete lines.
  std::string RateLimitHeaders() const;

 private:
  friend class Permit;

  const KeyEntry entry_;
  const std::shared_ptr<Meter> meter_;
  const Clock clock_;
  const OnRefused refused_;
};

// One request of a caller, let in; it counts as running until this is destroyed.
class Permit {
 public:
  explicit Permit(std::shared_ptr<const Caller> caller) : caller_(std::move(caller)) {}
  ~Permit() { caller_->meter_->Leave(); }
  Permit(const Permit&) = delete;

  const Caller& caller() const { return *caller_; }
  void UseTokens(int64_t count) {
    caller_->meter_->UseTokens(count, caller_->entry_.limits, caller_->clock_());
  }

 private:
  const std::shared_ptr<const Caller> caller_;
};

}  // namespace weft::auth
