// An election by a lease: a record in a store that all candidates reach, which names the
// holder and is renewed by it. A candidate takes it when it has not seen it change for its
// duration; the store lets only one of several win (compare-and-swap on a version). Clocks
// of machines are not compared: each measures with its own how long ago a record changed.
//
// A holder that cannot renew in time leads no more before another can begin to: it gives up
// after kRenewDeadline, others wait for kDuration.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "scheduler/election/election.h"

namespace weft::scheduler {

struct Lease {
  std::string holder;   // unlike any other process's, ever; empty: nobody
  std::string address;  // where the holder is dialled
  uint64_t term = 0;
  std::string version;  // the store's; changes with each write. Empty: there is none yet
};

// One thread.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  // An empty one where there is none. Unavailable and the like: try again.
  virtual absl::StatusOr<Lease> Get() = 0;
  // Writes it, if the store's is still of `lease.version`: what it is now. Aborted: it is of
  // another.
  virtual absl::StatusOr<Lease> Put(const Lease& lease) = 0;
};

class LeaseElection final : public Election {
 public:
  static constexpr std::chrono::milliseconds kDuration{3000};
  static constexpr std::chrono::milliseconds kRenewDeadline{2000};
  static constexpr std::chrono::milliseconds kInterval{500};  // of renewals, and of looks

  LeaseElection(std::unique_ptr<LeaseStore> store, std::string holder, std::string address);

  absl::StatusOr<uint64_t> Win() override;
  absl::Status AwaitLoss() override;
  void Release() override;
  std::string Successor() override;
  std::string leader() const override;

 private:
  using Clock = std::chrono::steady_clock;

  // Whether it is free to take, by what has been seen of it so far.
  bool IsFree(const Lease& lease);
  absl::Status Renew();
  // The lease that this process holds, changed to be of `holder` at `address`.
  absl::Status Write(const std::string& holder, const std::string& address);
  void SetLeader(std::string address);

  const std::unique_ptr<LeaseStore> store_;
  const std::string holder_;
  const std::string address_;
  Lease lease_;                   // as last seen
  Clock::time_point changed_at_;  // when it was first seen so
  Clock::time_point renewed_at_;  // the latest renewal that succeeded began then
  std::string last_complaint_;

  mutable std::mutex mutex_;
  std::string leader_;
};

}  // namespace weft::scheduler
