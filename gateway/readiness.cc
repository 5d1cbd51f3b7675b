#include "gateway/readiness.h"

#include <chrono>
#include <optional>
#include <utility>

namespace weft::gateway {

ReadinessWatcher::ReadinessWatcher(std::function<absl::Status()> ready,
                                   std::function<void(const absl::Status&)> changed)
    : ready_(std::move(ready)), changed_(std::move(changed)), thread_([this] { Watch(); }) {}

ReadinessWatcher::~ReadinessWatcher() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ReadinessWatcher::Watch() {
  std::optional<absl::Status> last;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    absl::Status status = ready_();
    if (last != status) {
      changed_(status);
      last = std::move(status);
    }
    wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return stopping_; });
  }
}

}  // namespace weft::gateway
