#include "gateway/inference/work_pool.h"

#include <utility>

#include "common/check.h"

namespace weft::gateway {

WorkPool::WorkPool(int num_threads, size_t max_waiting)
    : max_waiting_(max_waiting), heavy_threads_free_(num_threads - 1) {
  WEFT_CHECK(num_threads >= 2);
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { Work(); });
}

WorkPool::~WorkPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkPool::Run(Weight weight, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    if (light_.size() + heavy_.size() >= max_waiting_) return false;
    (weight == Weight::kLight ? light_ : heavy_).push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

bool WorkPool::HasTask() const {
  return !light_.empty() || (!heavy_.empty() && heavy_threads_free_ > 0);
}

void WorkPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return HasTask() || (stopping_ && heavy_.empty()); });
    if (!HasTask()) return;
    const bool is_heavy = light_.empty();
    auto& queue = is_heavy ? heavy_ : light_;
    std::function<void()> task = std::move(queue.front());
    queue.pop_front();
    if (is_heavy) --heavy_threads_free_;
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the lock comes
    lock.lock();
    if (is_heavy) {
      ++heavy_threads_free_;
      wake_.notify_all();
    }
  }
}

}  // namespace weft::gateway
