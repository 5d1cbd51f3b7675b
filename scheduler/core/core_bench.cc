// What the core costs per step: Plan and Apply of a steady decode, by how many
// run, how many wait, and how large the pool is. Prints microseconds of
// CPU, and heap allocations in all measured steps.
//
//   core_bench [steps]        default 2000 per line
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "common/check.h"
#include "scheduler/core/core.h"

namespace {

int64_t num_allocations = 0;

}  // namespace

void* operator new(size_t size) {
  ++num_allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace weft::core {
namespace {

struct Setting {
  const char* what;
  int num_running = 256;
  int num_waiting = 0;
  int num_blocks = 100'000;
  int context = 1000;
};

// Of this thread: what else the machine does is not the core's cost.
double CpuMicros() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e6 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_nsec);
}

double Percentile(std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * (sorted.size() - 1))];
}

void Measure(const Setting& setting, int num_steps) {
  Core core({.max_waiting_sequences = 1 << 20, .max_waiting_tokens = int64_t{1} << 40});
  Outputs out;
  WEFT_CHECK(core.Apply(WorkerJoined{.worker = 1,
                                     .limits = {.num_blocks = setting.num_blocks,
                                                .max_rows = setting.num_running,
                                                .max_step_tokens = 8192,
                                                .max_steps_in_flight = 2,
                                                .max_context_tokens = 131072,
                                                .vocab_size = 151936}},
                        0, out)
                 .ok());
  // Prompts of which no two share a block.
  const int num_sequences = setting.num_running + setting.num_waiting;
  for (int id = 1; id <= num_sequences; ++id) {
    std::vector<TokenId> prompt(setting.context, id);
    core.Apply(Submit{.id = static_cast<SequenceId>(id),
                      .tenant = "tenant",
                      .prompt = std::move(prompt),
                      .sampling = {.stop_token_ids = {151643, 151645}},
                      .max_tokens = 4000},
               0, out);
  }
  WEFT_CHECK(out.rejected.empty());

  Step step;
  std::vector<TokenId> tokens;
  // Two steps in flight, as on a GPU.
  struct Sent {
    uint64_t step_id = 0;
    std::vector<RowResult> rows;
  };
  std::vector<Sent> sent(2);
  std::vector<int> missing(setting.num_running, setting.context);  // by slot: prompt left
  int num_sent = 0;
  const auto plan = [&](int64_t i) {
    if (!core.Plan(i, step)) return false;
    Sent& next = sent[num_sent++];
    next.step_id = step.step_id;
    next.rows.clear();
    for (const StepRow& row : step.rows) {
      missing[row.slot] = std::max(0, missing[row.slot] - row.num_tokens);
      next.rows.push_back({.num_tokens = missing[row.slot] == 0 ? 1 : 0});
    }
    return true;
  };
  const auto answer = [&](int64_t i) {
    tokens.clear();
    for (const RowResult& row : sent[0].rows) {
      if (row.num_tokens == 1) tokens.push_back(static_cast<TokenId>(i % 1000));
    }
    out.Clear();
    WEFT_CHECK(core.Apply(StepDone{.worker = 1,
                                   .step_id = sent[0].step_id,
                                   .rows = sent[0].rows,
                                   .tokens = tokens},
                          i, out)
                   .ok());
    std::swap(sent[0], sent[1]);
    --num_sent;
  };
  // Until every prompt is computed, and every buffer has its size.
  int64_t now = 0;
  while (num_sent < 2) WEFT_CHECK(plan(now));
  const auto is_prefilling = [&] {
    return std::any_of(missing.begin(), missing.end(), [](int it) { return it > 0; });
  };
  for (int num_warm = 0; num_warm < 64; num_warm += is_prefilling() ? 0 : 1) {
    answer(++now);
    WEFT_CHECK(plan(now));
  }

  std::vector<double> micros;
  micros.reserve(num_steps);
  const int64_t num_allocations_before = num_allocations;
  for (int i = 0; i < num_steps; ++i) {
    ++now;
    const double begin = CpuMicros();
    answer(now);
    WEFT_CHECK(plan(now));
    micros.push_back(CpuMicros() - begin);
  }
  const int64_t num_new_allocations = num_allocations - num_allocations_before;
  WEFT_CHECK(core.gauges().num_running == setting.num_running);
  std::sort(micros.begin(), micros.end());
  std::printf("%-10s %8d %8d %10d %8d %10.1f %10.1f %12lld\n", setting.what, setting.num_running,
              setting.num_waiting, setting.num_blocks, setting.context, Percentile(micros, 0.5),
              Percentile(micros, 0.99), static_cast<long long>(num_new_allocations));
  std::fflush(stdout);
}

}  // namespace
}  // namespace weft::core

int main(int argc, char** argv) {
  using weft::core::Measure;
  const int num_steps = argc > 1 ? std::max(10, std::atoi(argv[1])) : 2000;
  std::printf("%-10s %8s %8s %10s %8s %10s %10s %12s\n", "", "running", "waiting", "blocks",
              "context", "p50 us", "p99 us", "allocations");
  for (const int running : {16, 64, 256, 1024}) {
    Measure({.what = "rows", .num_running = running, .num_blocks = 400'000}, num_steps);
  }
  for (const int waiting : {100, 1000, 10'000}) {
    Measure({.what = "queue", .num_waiting = waiting}, num_steps);
  }
  for (const int blocks : {10'000, 100'000, 1'000'000}) {
    // Short enough for the smallest pool.
    Measure({.what = "pool", .num_blocks = blocks, .context = 100}, std::min(num_steps, 400));
  }
  Measure({.what = "context", .num_blocks = 400'000, .context = 8000}, num_steps);
  return 0;
}
