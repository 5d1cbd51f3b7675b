// Steps that a device has begun and not yet answered, between the thread that begins
// them and the one that awaits them.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "worker/rpc/attachment.h"

namespace weft::worker {

class StepQueue {
 public:
  explicit StepQueue(int max_open) : max_open_(max_open) {}

  // ---- the beginning thread ----

  // Blocks while as many steps are open as may be. False: Abort was called.
  bool WaitForRoom();
  void Push(std::unique_ptr<QueuedStep> step);
  // No more will come. Pop hands out what is there, then null.
  void Close();

  // ---- the awaiting thread ----

  // The oldest step begun; blocks for one. Null: there will be none.
  std::unique_ptr<QueuedStep> Pop();
  // The step popped last is answered: there is room for another.
  void Done();
  // It failed: what is begun behind it is given up.
  void Abort();

 private:
  const int max_open_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<QueuedStep>> steps_;
  int num_open_ = 0;  // pushed and not done
  bool closed_ = false;
  bool aborted_ = false;
};

}  // namespace weft::worker
