// Tells when one of a few files has become another: written anew, replaced by a rename, or
// reached through a link that points elsewhere (a Kubernetes Secret is swapped like that).
// It looks, rather than asking the kernel to be told: a few stat calls a second cost nothing,
// and hold on every file system.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft {

inline constexpr std::chrono::milliseconds kFileWatchInterval{500};

class FileWatcher {
 public:
  // `changed` is called on the watcher's thread after each change, and not for what the files
  // are now. Make the watcher before reading them: then no change is missed.
  FileWatcher(std::vector<std::string> paths, std::function<void()> changed,
              std::chrono::milliseconds interval = kFileWatchInterval);
  ~FileWatcher();

 private:
  // Where the name leads, and when that was written. All zero: to nothing.
  struct Stamp {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, seconds = 0, nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp StampOf(const std::string& path);
  std::vector<Stamp> Stamps() const;
  void Watch();

  const std::vector<std::string> paths_;
  const std::function<void()> changed_;
  const std::chrono::milliseconds interval_;
  std::vector<Stamp> last_;  // the watcher's thread, once that runs
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // under mutex_
  std::thread thread_;     // last: it uses all of the above
};

}  // namespace weft
