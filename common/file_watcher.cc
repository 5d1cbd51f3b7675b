#include "common/file_watcher.h"

#include <sys/stat.h>

#include <utility>

namespace weft {

FileWatcher::FileWatcher(std::vector<std::string> paths, std::function<void()> changed,
                         std::chrono::milliseconds interval)
    : paths_(std::move(paths)),
      changed_(std::move(changed)),
      interval_(interval),
      last_(Stamps()),
      thread_([this] { Watch(); }) {}

FileWatcher::~FileWatcher() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

FileWatcher::Stamp FileWatcher::StampOf(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return {};
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .size = found.st_size,
          .seconds = found.st_mtim.tv_sec,
          .nanoseconds = found.st_mtim.tv_nsec};
}

std::vector<FileWatcher::Stamp> FileWatcher::Stamps() const {
  std::vector<Stamp> stamps;
  for (const std::string& path : paths_) stamps.push_back(StampOf(path));
  return stamps;
}

void FileWatcher::Watch() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
    // Stamped before it is read: what is written meanwhile is another change.
    std::vector<Stamp> stamps = Stamps();
    if (stamps == last_) continue;
    last_ = std::move(stamps);
    lock.unlock();
    changed_();
    lock.lock();
  }
}

}  // namespace weft
