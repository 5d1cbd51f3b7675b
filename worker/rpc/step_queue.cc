#include "worker/rpc/step_queue.h"

#include <utility>

namespace weft::worker {

bool StepQueue::WaitForRoom() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return num_open_ < max_open_ || aborted_; });
  return !aborted_;
}

void StepQueue::Push(std::unique_ptr<QueuedStep> step) {
  std::lock_guard lock(mutex_);
  steps_.push_back(std::move(step));
  ++num_open_;
  changed_.notify_all();
}

void StepQueue::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

std::unique_ptr<QueuedStep> StepQueue::Pop() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !steps_.empty() || closed_ || aborted_; });
  if (steps_.empty() || aborted_) return nullptr;
  auto step = std::move(steps_.front());
  steps_.pop_front();
  return step;
}

void StepQueue::Done() {
  std::lock_guard lock(mutex_);
  --num_open_;
  changed_.notify_all();
}

void StepQueue::Abort() {
  std::lock_guard lock(mutex_);
  aborted_ = true;
  changed_.notify_all();
}

}  // namespace weft::worker
