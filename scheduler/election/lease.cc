#include "scheduler/election/lease.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::scheduler {

LeaseElection::LeaseElection(std::unique_ptr<LeaseStore> store, std::string holder,
                             std::string address)
    : store_(std::move(store)), holder_(std::move(holder)), address_(std::move(address)) {}

absl::StatusOr<uint64_t> LeaseElection::Win() {
  do {
    const auto seen = store_->Get();
    if (!seen.ok()) {
      // Once for each cause: it may last.
      std::string complaint(seen.status().message());
      if (std::exchange(last_complaint_, complaint) != complaint) {
        spdlog::warn("the election's lease cannot be read, trying on: {}", complaint);
      }
      continue;
    }
    {
      std::lock_guard lock(mutex_);
      leader_ = seen->address;
    }
    if (!IsFree(*seen)) continue;
    Lease ours = *seen;
    ours.holder = holder_;
    ours.address = address_;
    ours.term = std::max(TermOfNow(), seen->term + 1);
    renewed_at_ = Clock::now();
    const auto taken = store_->Put(ours);
    if (!taken.ok()) continue;  // another was faster, or may have been
    lease_ = *taken;
    std::lock_guard lock(mutex_);
    leader_ = address_;
    return lease_.term;
  } while (Pause(kInterval));
  return absl::CancelledError("stopped before it led");
}

bool LeaseElection::IsFree(const Lease& lease) {
  if (lease.holder.empty()) return true;
  const Clock::time_point now = Clock::now();
  if (lease.version != lease_.version) {
    lease_ = lease;
    changed_at_ = now;
  }
  return now - changed_at_ > kDuration;
}

absl::Status LeaseElection::AwaitLoss() {
  while (Pause(kInterval)) {
    absl::Status renewed = Renew();
    if (renewed.ok()) continue;
    const bool is_taken = renewed.code() == absl::StatusCode::kAborted;
    if (is_taken || Clock::now() - renewed_at_ > kRenewDeadline) return renewed;
  }
  Lease free = lease_;
  free.holder = free.address = "";
  if (auto s = store_->Put(free); !s.ok()) {
    spdlog::warn("the lease was not handed back: {}", std::string(s.status().message()));
  }
  return absl::OkStatus();
}

absl::Status LeaseElection::Renew() {
  const Clock::time_point began = Clock::now();
  auto renewed = store_->Put(lease_);
  if (renewed.status().code() == absl::StatusCode::kAborted) {
    // An earlier write of ours whose answer was lost, or another's.
    const auto seen = store_->Get();
    if (!seen.ok()) return seen.status();
    if (seen->holder != holder_ || seen->term != lease_.term) {
      return absl::AbortedError(absl::StrCat(
          "the lease is ", seen->holder.empty() ? "nobody's" : absl::StrCat(seen->holder, "'s"),
          " now"));
    }
    lease_ = *seen;
    renewed = store_->Put(lease_);
  }
  if (!renewed.ok()) return renewed.status();
  lease_ = *std::move(renewed);
  renewed_at_ = began;
  return absl::OkStatus();
}

std::string LeaseElection::leader() const {
  std::lock_guard lock(mutex_);
  return leader_;
}

}  // namespace weft::scheduler
