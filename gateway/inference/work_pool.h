// A few threads for work that would hold up a network thread: templates,
// tokenizing. Heavy work never takes the first thread, so that a prompt of a
// megabyte delays no short one; and the threads that take it stand behind all others
// for a core, so that it delays no stream.
//
// Thread safety: any thread, at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace weft::gateway {

class WorkPool {
 public:
  // `num_threads` at least 2. More than `max_waiting` tasks are not taken.
  WorkPool(int num_threads, size_t max_waiting);
  ~WorkPool();  // runs what has been taken

  enum class Weight { kLight, kHeavy };
  // False: too much waits already; `task` is left alone.
  [[nodiscard]] bool Run(Weight weight, std::function<void()> task);

 private:
  void Work(bool takes_heavy);
  bool HasTask(bool takes_heavy) const;

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> light_;
  std::deque<std::function<void()>> heavy_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weft::gateway
