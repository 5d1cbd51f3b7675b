#include "worker/ops/cpu/thread_pool.h"

#include <algorithm>
#include <memory>

#include "common/check.h"

namespace weft::worker::ops::cpu {
namespace {

// Some 50 us: longer than the host's work between two kernels of a step, shorter
// than anyone would notice on an idle machine.
constexpr int kSpins = 4096;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

std::unique_ptr<ThreadPool>& Instance() {
  static std::unique_ptr<ThreadPool> pool;
  return pool;
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  for (int i = 1; i < num_threads; ++i) threads_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ThreadPool::RunOne() {
  uint64_t claims = claims_.load(std::memory_order_acquire);
  do {
    if (static_cast<uint32_t>(claims) == 0) return false;
  } while (!claims_.compare_exchange_weak(claims, claims - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
  (*task_)(count_ - static_cast<int>(static_cast<uint32_t>(claims)));
  if (num_unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) num_unfinished_.notify_all();
  return true;
}

void ThreadPool::Run(int count, absl::FunctionRef<void(int)> task) {
  if (count <= 0) return;
  const std::lock_guard lock(mutex_);
  if (count == 1 || threads_.empty()) {
    for (int i = 0; i < count; ++i) task(i);
    return;
  }
  task_ = &task;
  count_ = count;
  num_unfinished_.store(count, std::memory_order_relaxed);
  const uint64_t job = (claims_.load(std::memory_order_relaxed) >> 32) + 1;
  claims_.store(job << 32 | static_cast<uint32_t>(count), std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();

  while (RunOne()) {
  }
  int left;
  for (int spins = 0; (left = num_unfinished_.load(std::memory_order_acquire)) > 0; ++spins) {
    if (spins < kSpins) {
      Pause();
    } else {
      num_unfinished_.wait(left, std::memory_order_acquire);
    }
  }
}

void ThreadPool::Work() {
  uint32_t seen = 0;
  while (!stopping_.load(std::memory_order_relaxed)) {
    for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < kSpins) {
        Pause();
      } else {
        epoch_.wait(seen, std::memory_order_acquire);
      }
    }
    seen = epoch_.load(std::memory_order_acquire);
    while (RunOne()) {
    }
  }
}

ThreadPool& Pool() {
  if (!Instance()) SetNumThreads(0);
  return *Instance();
}

void SetNumThreads(int num_threads) {
  if (num_threads == 0) num_threads = static_cast<int>(std::thread::hardware_concurrency());
  num_threads = std::clamp(num_threads, 1, 1024);
  if (Instance() && Instance()->num_threads() == num_threads) return;
  Instance() = std::make_unique<ThreadPool>(num_threads);
}

}  // namespace weft::worker::ops::cpu
