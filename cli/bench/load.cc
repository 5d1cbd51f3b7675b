#include "cli/bench/load.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "cli/bench/client.h"
#include "cli/bench/dispatcher.h"

namespace weft::bench {
namespace {

namespace asio = boost::asio;

double ThreadCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Thread : ClientThread {
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
  double cpu_s = 0;
};

// What the caller's thread waits for.
class Ending {
 public:
  void Set() {
    std::lock_guard lock(mutex_);
    is_over_ = true;
    changed_.notify_one();
  }
  bool WaitFor(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return is_over_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
};

}  // namespace

LoadOutcome RunLoad(const LoadPlan& plan) {
  std::vector<std::unique_ptr<Thread>> threads;
  for (int i = 0; i < plan.num_threads; ++i) threads.push_back(std::make_unique<Thread>());

  const Clock::time_point start = Clock::now();
  Dispatcher dispatcher(plan.arrivals, plan.max_concurrency, start);
  Ending ending;
  std::atomic<size_t> next_thread{0};
  ClientShared shared{.endpoint = plan.endpoint,
                      .tls = plan.tls,
                      .timeout = std::chrono::duration_cast<Clock::duration>(
                          std::chrono::duration<double>(plan.timeout_s)),
                      .dispatcher = dispatcher,
                      .has_schedule = plan.has_schedule,
                      .first_index = plan.first_index,
                      .workload = plan.workload,
                      .check = plan.check};
  shared.add_slot = [&] {
    Thread& thread = *threads[next_thread.fetch_add(1) % threads.size()];
    asio::post(thread.context,
               [&thread, &shared] { std::make_shared<Client>(thread, shared)->Start(); });
  };
  shared.slot_over = [&] {
    if (dispatcher.is_over()) ending.Set();
  };

  for (int i = 0; i < dispatcher.num_first_slots(); ++i) shared.add_slot();
  for (auto& thread : threads) {
    thread->thread = std::thread([&thread = *thread] {
      thread.context.run();
      thread.cpu_s = ThreadCpuSeconds();
    });
  }
  while (!ending.WaitFor(std::chrono::milliseconds(500))) {
    if (!plan.on_progress) continue;
    LoadProgress progress{.elapsed_s = SecondsSince(start),
                          .num_ended = dispatcher.num_ended(),
                          .num_open = dispatcher.num_open()};
    for (const auto& thread : threads) {
      progress.num_text_events += thread->num_text_events.load(std::memory_order_relaxed);
    }
    plan.on_progress(progress);
  }
  LoadOutcome outcome{.duration_s = SecondsSince(start),
                      .peak_concurrency = dispatcher.peak_concurrency()};
  for (auto& thread : threads) thread->work.reset();
  for (auto& thread : threads) {
    thread->thread.join();
    outcome.measured.Merge(std::move(thread->measured));
    outcome.cpu_s += thread->cpu_s;
    outcome.busiest_thread_cpu_s = std::max(outcome.busiest_thread_cpu_s, thread->cpu_s);
  }
  return outcome;
}

}  // namespace weft::bench
