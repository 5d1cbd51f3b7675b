// An election among processes of one machine, or of machines that share a file system with
// locks: who holds the lock on a file leads. The kernel frees it when its holder ends, in
// whatever way, and the next one has it within kPoll. A holder that is merely stopped
// (SIGSTOP) keeps it.
//
// The file's one line says who leads: "<term> <address>", without an address when that one
// has given it up. It stays when the holder goes, so that terms grow even if the clock is set
// back.
#pragma once

#include <chrono>
#include <string>

#include "scheduler/election/election.h"

namespace weft::scheduler {

class FileLockElection final : public Election {
 public:
  static constexpr std::chrono::milliseconds kPoll{50};

  // `address`: where peers dial this process. The file is made if it is missing; its folder
  // must be there.
  FileLockElection(std::string path, std::string address);
  ~FileLockElection() override;

  absl::StatusOr<uint64_t> Win() override;
  // The lock itself cannot be lost, but the file can: another one of the same name may be
  // locked by another process.
  absl::Status AwaitLoss() override;
  void Release() override;
  std::string Successor() override;
  std::string leader() const override;

 private:
  absl::StatusOr<bool> TryLock();
  absl::StatusOr<uint64_t> Enter();
  absl::Status WriteLine(const std::string& line);
  bool IsTheFile() const;

  const std::string path_;
  const std::string address_;
  int file_ = -1;
  uint64_t term_ = 0;  // once it leads
};

}  // namespace weft::scheduler
