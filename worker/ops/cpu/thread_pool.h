// The threads that kernels run on. A step is a few hundred short parallel
// regions back to back, so a thread spins a little before it sleeps, and a region
// never waits for a thread that has not woken: whoever is there takes the items.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace weft::worker::ops::cpu {

class ThreadPool {
 public:
  // The caller of Run is one of `num_threads`.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();

  // Calls task(i) once for each i in [0, count), lowest first, on any thread, and
  // returns when all are done. Any thread, one Run at a time; not from a task.
  void Run(int count, absl::FunctionRef<void(int)> task);

  int num_threads() const { return static_cast<int>(threads_.size()) + 1; }

 private:
  void Work();
  bool RunOne();

  // (number of the job) << 32 | items not yet claimed. To claim an item is to
  // lower it by one; a job whose items are not all done stays in place, so who has
  // claimed one may read task_ and count_.
  std::atomic<uint64_t> claims_{0};
  std::atomic<int> num_unfinished_{0};
  std::atomic<uint32_t> epoch_{0};  // what sleepers watch
  std::atomic<bool> stopping_{false};
  const absl::FunctionRef<void(int)>* task_ = nullptr;
  int count_ = 0;
  std::mutex mutex_;  // held by Run
  std::vector<std::thread> threads_;
};

// The process's pool, made at first use with every core unless SetNumThreads
// came before. SetNumThreads is not for the time when a kernel runs; 0: every core.
ThreadPool& Pool();
void SetNumThreads(int num_threads);

}  // namespace weft::worker::ops::cpu
