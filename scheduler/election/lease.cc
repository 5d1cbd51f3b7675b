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
    SetLeader(seen->address);
    if (!IsFree(*seen)) continue;
    Lease ours = *seen;
    ours.holder = holder_;
    ours.address = address_;
    ours.term = std::max(TermOfNow(), seen->term + 1);
    renewed_at_ = Clock::now();
    const auto taken = store_->Put(ours);
    if (!taken.ok()) continue;  // another was faster, or may have been
    lease_ = *taken;
    SetLeader(address_);
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
  return absl::OkStatus();
}

void LeaseElection::Release() {
  SetLeader("");
  if (auto s = Write("", ""); !s.ok()) {
    spdlog::warn("the lease was not handed back, it has to run out: {}", std::string(s.message()));
  }
}

std::string LeaseElection::Successor() {
  const auto seen = store_->Get();
  if (!seen.ok() || seen->holder.empty() || seen->holder == holder_) return "";
  SetLeader(seen->address);
  return seen->address;
}

absl::Status LeaseElection::Renew() {
  const Clock::time_point began = Clock::now();
  if (auto s = Write(holder_, address_); !s.ok()) return s;
  renewed_at_ = began;
  return absl::OkStatus();
}

absl::Status LeaseElection::Write(const std::string& holder, const std::string& address) {
  Lease changed = lease_;
  changed.holder = holder;
  changed.address = address;
  auto written = store_->Put(changed);
  if (written.status().code() == absl::StatusCode::kAborted) {
    // An earlier write of ours whose answer was lost, or another's.
    const auto seen = store_->Get();
    if (!seen.ok()) return seen.status();
    if (seen->holder != holder_ || seen->term != lease_.term) {
      return absl::AbortedError(absl::StrCat(
          "the lease is ", seen->holder.empty() ? "nobody's" : absl::StrCat(seen->holder, "'s"),
          " now"));
    }
    changed.version = seen->version;
    written = store_->Put(changed);
  }
  if (!written.ok()) return written.status();
  lease_ = *std::move(written);
  return absl::OkStatus();
}

void LeaseElection::SetLeader(std::string address) {
  std::lock_guard lock(mutex_);
  leader_ = std::move(address);
}

std::string LeaseElection::leader() const {
  std::lock_guard lock(mutex_);
  return leader_;
}

}  // namespace weft::scheduler
