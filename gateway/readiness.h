// Looks at whether requests would be served, and tells of every change.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/status/status.h"

namespace weft::gateway {

class ReadinessWatcher {
 public:
  // `ready` is asked five times a second, `changed` is told the first answer and
  // each that differs; both on the watcher's thread.
  ReadinessWatcher(std::function<absl::Status()> ready,
                   std::function<void(const absl::Status&)> changed);
  ~ReadinessWatcher();

 private:
  void Watch();

  const std::function<absl::Status()> ready_;
  const std::function<void(const absl::Status&)> changed_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weft::gateway
