#include "scheduler/election/file_lock.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::scheduler {
namespace {

struct Entry {
  uint64_t term = 0;
  std::string address;
};

// Nothing in it, or nothing sensible: nobody has led yet.
Entry ReadEntry(const std::string& path) {
  Entry entry;
  std::ifstream file(path);
  if (!(file >> entry.term)) return {};
  file >> entry.address;
  return entry;
}

}  // namespace

FileLockElection::FileLockElection(std::string path, std::string address)
    : path_(std::move(path)), address_(std::move(address)) {}

FileLockElection::~FileLockElection() {
  if (file_ >= 0) close(file_);  // and with it the lock
}

absl::StatusOr<uint64_t> FileLockElection::Win() {
  while (true) {
    const auto is_locked = TryLock();
    if (!is_locked.ok()) return is_locked.status();
    if (*is_locked) return Enter();
    if (!Pause(kPoll)) return absl::CancelledError("stopped before it led");
  }
}

absl::Status FileLockElection::AwaitLoss() {
  while (Pause(kPoll)) {
    if (!IsTheFile()) {
      return absl::AbortedError(
          absl::StrCat(path_, " was removed or replaced: another scheduler may lead"));
    }
  }
  return absl::OkStatus();
}

void FileLockElection::Release() {
  if (auto s = WriteLine(absl::StrCat(term_, "\n")); !s.ok()) {
    spdlog::warn("the lock's file still names this leader: {}", std::string(s.message()));
  }
  close(std::exchange(file_, -1));
}

std::string FileLockElection::Successor() {
  const Entry entry = ReadEntry(path_);
  return entry.term > term_ ? entry.address : "";
}

std::string FileLockElection::leader() const { return ReadEntry(path_).address; }

// The file is opened anew each time: it may be another one by now.
absl::StatusOr<bool> FileLockElection::TryLock() {
  if (file_ >= 0) close(file_);
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path_));
  if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return false;
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", path_));
  }
  return IsTheFile();
}

absl::StatusOr<uint64_t> FileLockElection::Enter() {
  term_ = std::max(TermOfNow(), ReadEntry(path_).term + 1);
  if (auto s = WriteLine(absl::StrCat(term_, " ", address_, "\n")); !s.ok()) return s;
  return term_;
}

absl::Status FileLockElection::WriteLine(const std::string& line) {
  if (pwrite(file_, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()) ||
      ftruncate(file_, static_cast<off_t>(line.size())) != 0 || fsync(file_) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  }
  return absl::OkStatus();
}

bool FileLockElection::IsTheFile() const {
  struct stat locked, named;
  return fstat(file_, &locked) == 0 && stat(path_.c_str(), &named) == 0 &&
         locked.st_ino == named.st_ino && locked.st_dev == named.st_dev;
}

}  // namespace weft::scheduler
