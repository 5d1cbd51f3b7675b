#include "cli/pull/backoff.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"

namespace weft::pull {

absl::Status Backoff::OnFailure(const absl::Status& failure, absl::Duration retry_after,
                                absl::Time now) {
  if (!absl::IsUnavailable(failure)) return failure;
  if (retry_after > kMaxRetryAfter) {
    return absl::UnavailableError(absl::StrCat(failure.message(), "; it asks to wait for ",
                                               absl::FormatDuration(retry_after)));
  }
  if (now < next_try_) {
    next_try_ = std::max(next_try_, now + retry_after);
    return absl::OkStatus();
  }
  if (++num_failures_ == kMaxFailures) {
    return absl::UnavailableError(
        absl::StrCat(failure.message(), "; given up after ", num_failures_, " tries"));
  }
  // Spread, or many that failed together would come together again.
  static thread_local std::minstd_rand random(std::random_device{}());
  const double spread = std::uniform_real_distribution(0.75, 1.25)(random);
  const absl::Duration pause = absl::Milliseconds(500) * (1 << (num_failures_ - 1)) * spread;
  next_try_ = now + std::max(pause, retry_after);
  return absl::OkStatus();
}

}  // namespace weft::pull
