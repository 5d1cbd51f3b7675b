// Does a device ever wait for its scheduler? The real server and a real worker over
// loopback; the worker's device is a thread that never sleeps, on a processor of its own as
// a GPU is one: it takes begun steps in order, spins for a step's time, and notes how long it
// had nothing to do between the end of one and the begin of the next. All else shares the
// other processors.
//
//   run_ahead_bench [step_ms] [rows] [steps]
//
// With two steps in flight, as a GPU has it, and with one, which shows what is hidden.
#include <pthread.h>
#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "scheduler/rpc/server.h"
#include "scheduler/rpc/testing/gateway_client.h"
#include "worker/engine/precise_timers.h"
#include "worker/engine/simulated_backend.h"
#include "worker/rpc/worker.h"

namespace weft::scheduler {
namespace {

using Clock = std::chrono::steady_clock;
using Micros = std::chrono::duration<double, std::micro>;

// The first steps are prompts, and everything's first time.
constexpr int kWarmUpSteps = 200;

// This thread, and those that it starts.
void RunOn(int first_processor, int end_processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = first_processor; i < end_processor; ++i) CPU_SET(i, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}
int LastProcessor() { return static_cast<int>(std::thread::hardware_concurrency()) - 1; }

class SpinningDevice {
 public:
  explicit SpinningDevice(Clock::duration step_time)
      : step_time_(step_time), thread_([this] { Run(); }) {}
  ~SpinningDevice() {
    is_over_ = true;
    thread_.join();
  }

  void Begin() { ++num_begun_; }
  // Until that many steps are done. The device wakes nobody, which would take its time: who
  // waits sleeps until the step should be over and looks.
  void Await(int64_t count) {
    constexpr Clock::duration kLookAgain = std::chrono::microseconds(20);
    while (num_done_ < count) {
      const Clock::duration left = Clock::time_point(Clock::duration(ends_at_)) - Clock::now();
      std::this_thread::sleep_for(std::max(left, kLookAgain));
    }
  }
  // Between one step's end and the next one's begin. Once the device has nothing to do.
  const std::vector<double>& gaps_us() const { return gaps_us_; }

 private:
  void Run() {
    RunOn(LastProcessor(), LastProcessor() + 1);
    Clock::time_point last_end{};
    for (int64_t step = 0; true; ++step) {
      while (num_begun_ == step) {
        if (is_over_) return;
      }
      const Clock::time_point begin = Clock::now();
      ends_at_ = (begin + step_time_).time_since_epoch().count();
      if (step > 0) gaps_us_.push_back(Micros(begin - last_end).count());
      while (Clock::now() - begin < step_time_) {
      }
      last_end = Clock::now();
      ++num_done_;
    }
  }

  const Clock::duration step_time_;
  std::atomic<int64_t> num_begun_{0};
  std::atomic<int64_t> num_done_{0};
  std::atomic<Clock::rep> ends_at_{0};  // the step that runs, or ran last
  std::atomic<bool> is_over_{false};
  std::vector<double> gaps_us_;
  std::thread thread_;
};

// Tokens of the simulated backend, in the time of the device.
class SpinningBackend final : public worker::Backend {
 public:
  SpinningBackend(std::unique_ptr<worker::Backend> tokens, int max_steps_in_flight,
                  Clock::duration step_time)
      : tokens_(std::move(tokens)), limits_(tokens_->limits()), device_(step_time) {
    limits_.max_steps_in_flight = max_steps_in_flight;
  }

  const worker::BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return tokens_->fingerprint(); }
  const std::string& device() const override { return tokens_->device(); }
  void Reset() override { tokens_->Reset(); }
  absl::Status Begin(const worker::StepCommand& command) override {
    const absl::Status begun = tokens_->Begin(command);
    if (begun.ok()) device_.Begin();
    return begun;
  }
  absl::StatusOr<worker::StepResult> Await() override {
    worker::UsePreciseTimers();
    device_.Await(++num_awaited_);
    return tokens_->Await();
  }

  const std::vector<double>& gaps_us() const { return device_.gaps_us(); }

 private:
  const std::unique_ptr<worker::Backend> tokens_;
  worker::BackendLimits limits_;
  int64_t num_awaited_ = 0;
  SpinningDevice device_;
};

std::vector<double> Measure(int max_steps_in_flight, Clock::duration step_time, int num_rows,
                            int num_steps) {
  Metrics registry("bench");
  SchedulerMetrics scheduler_metrics(registry);
  worker::WorkerMetrics worker_metrics(registry);
  auto server = Server::Start({}, scheduler_metrics, [] { return std::string(); });
  WEFT_CHECK(server.ok());
  (*server)->Lead(1);
  const std::string address = absl::StrCat("127.0.0.1:", (*server)->port());

  const int num_tokens = kWarmUpSteps + num_steps;
  auto tokens = worker::MakeSimulatedBackend({.speed = 1e9,
                                              .vocab_size = 150'000,
                                              .max_context_tokens = 2048 + num_tokens,
                                              .max_num_seqs = num_rows,
                                              .max_num_batched_tokens = 2048});
  WEFT_CHECK(tokens.ok());
  SpinningBackend backend(*std::move(tokens), max_steps_in_flight, step_time);
  worker::Worker worker(backend, worker_metrics, address);
  std::thread worker_thread([&] { (void)worker.Run(); });

  GatewayClient gateway(address);
  WEFT_CHECK(gateway.AwaitLoad([](const v1::Load& load) { return load.num_ready_workers() == 1; }));
  std::vector<uint32_t> handles;
  for (int i = 0; i < num_rows; ++i) {
    v1::Submit submit;
    for (int j = 0; j < 1000; ++j) submit.add_prompt_tokens((i * 1000 + j) % 150'000);
    submit.set_max_tokens(static_cast<uint32_t>(num_tokens));
    submit.mutable_sampling()->set_temperature(1);
    submit.mutable_sampling()->set_top_p(1);
    submit.mutable_sampling()->set_repetition_penalty(1);
    handles.push_back(gateway.Submit(submit));
  }
  for (const uint32_t handle : handles) {
    while (!gateway.AwaitDone(handle)) {
    }
    WEFT_CHECK(gateway.Get(handle).finished.has_value());
  }
  worker.Stop();
  worker_thread.join();

  std::vector<double> gaps(backend.gaps_us().begin() + kWarmUpSteps / 2,
                           backend.gaps_us().begin() + kWarmUpSteps / 2 + num_steps);
  std::sort(gaps.begin(), gaps.end());
  return gaps;
}

int Main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::warn);
  const double step_ms = argc > 1 ? std::atof(argv[1]) : 0.8;
  const int num_rows = argc > 2 ? std::atoi(argv[2]) : 16;
  const int num_steps = argc > 3 ? std::atoi(argv[3]) : 5000;
  if (!(step_ms > 0) || num_rows < 1 || num_steps < 100) {
    std::fprintf(stderr, "run_ahead_bench [step_ms > 0] [rows >= 1] [steps >= 100]\n");
    return 2;
  }
  if (LastProcessor() < 1) {
    std::fprintf(stderr, "needs two processors\n");
    return 2;
  }
  RunOn(0, LastProcessor());
  const auto step_time =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(step_ms * 1e-3));
  std::printf("A device's idle time between steps of %g ms with %d rows, %d steps\n", step_ms,
              num_rows, num_steps);
  std::printf("%-16s %20s %20s %20s %12s\n", "steps in flight", "p50 us (% of step)", "p90 us (%)",
              "p99 us (%)", "largest us");
  for (const int in_flight : {1, 2, 1, 2}) {
    const std::vector<double> gaps = Measure(in_flight, step_time, num_rows, num_steps);
    const auto at = [&](double part) {
      return gaps[static_cast<size_t>(part * (gaps.size() - 1))];
    };
    std::printf("%-16d", in_flight);
    for (const double part : {0.5, 0.9, 0.99}) {
      std::printf(" %11.1f (%5.1f%%)", at(part), at(part) / (step_ms * 10));
    }
    std::printf(" %12.1f\n", gaps.back());
  }
  return 0;
}

}  // namespace
}  // namespace weft::scheduler

int main(int argc, char** argv) { return weft::scheduler::Main(argc, argv); }
