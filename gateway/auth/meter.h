// What one key uses, and whether it may use more. Both budgets of a minute are leaky
// buckets: a minute's worth may go at once, and comes back evenly. Time is told, not asked.
//
// Requests are counted as they are let in. Tokens are counted as they are really used, of
// prompt and answer: a request is let in while any are left, so that those which run may
// overdraw the budget; the next waits until it is paid back.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

namespace weft::auth {

using Time = std::chrono::steady_clock::time_point;

// 0: no limit.
struct KeyLimits {
  int64_t requests_per_minute = 0;
  int64_t tokens_per_minute = 0;
  int64_t concurrent_requests = 0;
};

enum class Limit { kRequests, kTokens, kConcurrency };

// Any thread. Limits are handed in each time: they may change while the meter runs.
class Meter {
 public:
  struct Refusal {
    Limit limit;
    std::chrono::milliseconds retry_after;
  };
  // Lets one request in, until Leave; or says what stands against it, and then counts nothing.
  std::optional<Refusal> Enter(const KeyLimits& limits, Time now);
  void Leave();
  void UseTokens(int64_t count, const KeyLimits& limits, Time now);

  struct Budget {
    int64_t remaining = 0;
    std::chrono::milliseconds reset{0};  // until it is whole again
  };
  Budget Requests(const KeyLimits& limits, Time now);
  Budget Tokens(const KeyLimits& limits, Time now);

 private:
  // What has been used and has not yet come back.
  struct Bucket {
    double used = 0;
    Time at;

    void Leak(int64_t per_minute, Time now);
    // Until `used` is no more than this.
    std::chrono::milliseconds Wait(double target, int64_t per_minute) const;
    Budget State(int64_t per_minute) const;
  };

  std::mutex mutex_;  // guards the rest
  Bucket requests_, tokens_;
  int64_t num_running_ = 0;
};

}  // namespace weft::auth
