// A few threads for what must not hold up the network's: reading large bodies,
// tokenizing.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace weft::openai {

class WorkPool {
 public:
  WorkPool(int num_threads, size_t max_waiting);
  ~WorkPool();  // drops what has not begun, waits for what has

  // False when too much waits already: say so to the client.
  [[nodiscard]] bool Run(std::function<void()> work);

 private:
  void Loop();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weft::openai
