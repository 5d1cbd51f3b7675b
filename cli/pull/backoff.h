// When to try again what failed.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace weft::pull {

class Backoff {
 public:
  // Half a second, doubled each time: a quarter of a minute in all.
  static constexpr int kMaxFailures = 6;
  // What a server may ask for; who asks for more is not worth waiting for.
  static constexpr absl::Duration kMaxRetryAfter = absl::Minutes(5);

  // Something was achieved: what failed before does not count any more.
  void OnProgress() { num_failures_ = 0; }

  // OK: try again at `next_try`. Else `failure` itself: it was the last in a row, or is none that
  // a repetition heals. `retry_after` is what the server asks for. What fails before `next_try`
  // was under way already: it belongs to the failure before.
  absl::Status OnFailure(const absl::Status& failure, absl::Duration retry_after, absl::Time now);

  absl::Time next_try() const { return next_try_; }

 private:
  int num_failures_ = 0;
  absl::Time next_try_ = absl::InfinitePast();
};

}  // namespace weft::pull
