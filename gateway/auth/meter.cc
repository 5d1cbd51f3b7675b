#include "gateway/auth/meter.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"

namespace weft::auth {
namespace {

using std::chrono::milliseconds;

// Nobody knows when a running request will end.
constexpr milliseconds kConcurrencyRetry{1000};

}  // namespace

void Meter::Bucket::Leak(int64_t per_minute, Time now) {
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - at).count();
  if (minutes > 0) {
    used = std::max(0.0, used - minutes * static_cast<double>(per_minute));
    at = now;
  }
}

milliseconds Meter::Bucket::Wait(double target, int64_t per_minute) const {
  const double excess = used - target;
  if (excess <= 0) return milliseconds(0);
  return milliseconds(
      static_cast<int64_t>(std::ceil(excess / static_cast<double>(per_minute) * 60e3)));
}

Meter::Budget Meter::Bucket::State(int64_t per_minute) const {
  const double left = static_cast<double>(per_minute) - used;
  return {.remaining = std::max<int64_t>(0, static_cast<int64_t>(std::floor(left + 1e-9))),
          .reset = Wait(0, per_minute)};
}

std::optional<Meter::Refusal> Meter::Enter(const KeyLimits& limits, Time now) {
  std::lock_guard lock(mutex_);
  requests_.Leak(limits.requests_per_minute, now);
  tokens_.Leak(limits.tokens_per_minute, now);
  if (limits.concurrent_requests > 0 && num_running_ >= limits.concurrent_requests) {
    return Refusal{Limit::kConcurrency, kConcurrencyRetry};
  }
  if (limits.requests_per_minute > 0) {
    const double most = static_cast<double>(limits.requests_per_minute) - 1;
    const milliseconds wait = requests_.Wait(most, limits.requests_per_minute);
    if (wait.count() > 0) return Refusal{Limit::kRequests, wait};
  }
  if (limits.tokens_per_minute > 0) {
    const double most = static_cast<double>(limits.tokens_per_minute) - 1;
    const milliseconds wait = tokens_.Wait(most, limits.tokens_per_minute);
    if (wait.count() > 0) return Refusal{Limit::kTokens, wait};
  }
  if (limits.requests_per_minute > 0) requests_.used += 1;
  ++num_running_;
  return std::nullopt;
}

void Meter::Leave() {
  std::lock_guard lock(mutex_);
  WEFT_CHECK(num_running_ > 0);
  --num_running_;
}

void Meter::UseTokens(int64_t count, const KeyLimits& limits, Time now) {
  if (limits.tokens_per_minute == 0) return;
  std::lock_guard lock(mutex_);
  tokens_.Leak(limits.tokens_per_minute, now);
  tokens_.used += static_cast<double>(count);
}

Meter::Budget Meter::Requests(const KeyLimits& limits, Time now) {
  std::lock_guard lock(mutex_);
  requests_.Leak(limits.requests_per_minute, now);
  return requests_.State(limits.requests_per_minute);
}

Meter::Budget Meter::Tokens(const KeyLimits& limits, Time now) {
  std::lock_guard lock(mutex_);
  tokens_.Leak(limits.tokens_per_minute, now);
  return tokens_.State(limits.tokens_per_minute);
}

}  // namespace weft::auth
