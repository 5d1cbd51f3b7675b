#include "gateway/inference/work_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "common/check.h"

namespace weft::gateway {
namespace {

// A third of what another thread gets where cores are short: enough for a long prompt to
// come to its end beside a model that computes on them.
constexpr int kHeavyNiceness = 5;

}  // namespace

WorkPool::WorkPool(int num_threads, size_t max_waiting) : max_waiting_(max_waiting) {
  WEFT_CHECK(num_threads >= 2);
  for (int i = 0; i < num_threads; ++i) {
    threads_.emplace_back([this, takes_heavy = i > 0] { Work(takes_heavy); });
  }
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
  wake_.notify_all();  // one alone might be the one that may not take it
  return true;
}

bool WorkPool::HasTask(bool takes_heavy) const {
  return !light_.empty() || (takes_heavy && !heavy_.empty());
}

void WorkPool::Work(bool takes_heavy) {
  // On Linux of this thread alone. It cannot be taken back, hence threads of its own.
  if (takes_heavy) setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kHeavyNiceness);
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return HasTask(takes_heavy) || stopping_; });
    if (!HasTask(takes_heavy)) return;
    auto& queue = light_.empty() ? heavy_ : light_;
    std::function<void()> task = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the lock comes
    lock.lock();
  }
}

}  // namespace weft::gateway
