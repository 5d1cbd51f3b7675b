#include "sim/pool/pool_simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::sim {
namespace {

using core::Micros;

// A worker's time for a step of `num_rows` equal rows.
Micros StepMicros(int num_rows, int num_computed_tokens, int num_tokens) {
  StepLoad load;
  for (int i = 0; i < num_rows; ++i) load.AddRow(num_computed_tokens, num_tokens, true);
  return std::llround(1e6 * StepSeconds(*FindGpu("H200"), Qwen2_1_5B(), load));
}

// A prompt in one step, then a token a step: nobody else is there, or all `num_rows`
// are at the same point.
Micros AnswerMicros(int num_rows, int num_input_tokens, int num_output_tokens) {
  Micros sum = StepMicros(num_rows, 0, num_input_tokens);
  for (int i = 0; i < num_output_tokens - 1; ++i) {
    sum += StepMicros(num_rows, num_input_tokens + i, 1);
  }
  return sum;
}

PoolOptions Pool() { return {.num_blocks = 100'000}; }

// Requests `gap` apart, by default further than any of them takes.
std::vector<Arrival> Every(int num_requests, Micros gap = 1'000'000) {
  std::vector<Arrival> arrivals(num_requests);
  for (int i = 0; i < num_requests; ++i) {
    arrivals[i] = {.at = i * gap, .num_input_tokens = 512, .num_output_tokens = 32};
  }
  return arrivals;
}

int64_t NumOutputTokens(const PoolReport& report) {
  int64_t sum = 0;
  for (const CompletedRequest& request : report.completed) sum += request.num_output_tokens;
  return sum;
}

TEST(PoolSimulation, ALoneRequestTakesTheTimeOfItsSteps) {
  const PoolReport report = SimulatePool(Pool(), Every(5));
  ASSERT_EQ(report.completed.size(), 5u);
  for (const CompletedRequest& request : report.completed) {
    EXPECT_EQ(request.ttft, StepMicros(1, 0, 512));
    EXPECT_EQ(request.e2e, AnswerMicros(1, 512, 32));
    EXPECT_EQ(request.num_output_tokens, 32);
  }
  EXPECT_EQ(report.itl_ms.size(), 5u * 31);
  EXPECT_FLOAT_EQ(report.itl_ms.front(), 1e-3F * StepMicros(1, 512, 1));
  EXPECT_EQ(report.busy, 5 * AnswerMicros(1, 512, 32));
  EXPECT_EQ(report.duration, 4'000'000 + AnswerMicros(1, 512, 32));
  EXPECT_EQ(report.counters.num_steps, 5 * 32);
  EXPECT_EQ(report.num_rows, 5 * 32);
  EXPECT_EQ(report.peak_blocks_in_use, core::BlocksFor(512 + 31));
}

TEST(PoolSimulation, TwiceTheSpeedIsHalfTheTime) {
  PoolOptions pool = Pool();
  pool.speed = 2;
  EXPECT_NEAR(SimulatePool(pool, Every(1)).completed[0].ttft, StepMicros(1, 0, 512) / 2.0, 1);
}

// One request at a time, each for as long as its prompt takes: a queue that is
// M/D/1, of which Pollaczek and Khinchine say the mean wait.
TEST(PoolSimulation, OneAtATimeWaitsLikeAnMD1Queue) {
  PoolOptions pool = Pool();
  pool.max_num_seqs = 1;
  const double service = static_cast<double>(StepMicros(1, 0, 600));
  for (const double utilization : {0.3, 0.7}) {
    const PoolReport report =
        SimulatePool(pool, DrawTraffic({.num_requests = 30'000,
                                        .request_rate = 1e6 * utilization / service,
                                        .input = LengthDistribution::Fixed(600),
                                        .output = LengthDistribution::Fixed(1)}));
    ASSERT_EQ(report.completed.size(), 30'000u);
    double sum = 0;
    for (const CompletedRequest& request : report.completed) sum += request.ttft;
    const double expected_wait = service * utilization / (2 * (1 - utilization));
    EXPECT_NEAR((sum / 30'000 - service) / expected_wait, 1, 0.05) << utilization;
    EXPECT_NEAR(report.busy / (utilization * report.duration), 1, 0.03);
  }
}

// A closed loop of equal requests goes in waves: all compute their prompts in one
// step, then each step gives each of them a token.
TEST(PoolSimulation, AClosedLoopHasItsRowsInEveryStep) {
  PoolOptions pool = Pool();
  pool.max_concurrency = 16;
  const PoolReport report = SimulatePool(pool, Every(16 * 4, /*gap=*/0));
  EXPECT_EQ(report.duration, 4 * AnswerMicros(16, 512, 32));
  EXPECT_EQ(NumOutputTokens(report), 16 * 4 * 32);
  EXPECT_EQ(report.num_rows, 16 * report.counters.num_steps);
  EXPECT_EQ(report.busy, report.duration);
  // Times count from when a client sends, not from when it wished to.
  EXPECT_EQ(report.completed.back().ttft, StepMicros(16, 0, 512));
  const std::vector<double> running =
      report.timeline.Columns(Timeline::kRunning, 8, report.duration);
  EXPECT_THAT(running, ::testing::Each(::testing::DoubleNear(16, 1e-6)));
  const std::vector<double> rates =
      report.timeline.Columns(Timeline::kOutputTokensPerSecond, 1, report.duration);
  EXPECT_NEAR(rates[0] / (1e6 * NumOutputTokens(report) / report.duration), 1, 1e-9);
}

TEST(PoolSimulation, TwoWorkersServeTwiceAsManyInTheSameTime) {
  PoolOptions pool = Pool();
  pool.num_workers = 2;
  pool.max_num_seqs = 8;
  const PoolReport report = SimulatePool(pool, Every(16, /*gap=*/0));
  EXPECT_EQ(report.duration, AnswerMicros(8, 512, 32));
  EXPECT_EQ(report.busy, 2 * report.duration);
  EXPECT_EQ(report.num_blocks_total, 200'000);
}

TEST(PoolSimulation, PreemptionsEndWithEnoughBlocks) {
  // 20 requests of 544 tokens are 34 blocks each in the end, 680 in all.
  PoolOptions pool = Pool();
  pool.num_blocks = 680;
  const PoolReport roomy = SimulatePool(pool, Every(20, /*gap=*/0));
  EXPECT_EQ(roomy.counters.num_preemptions, 0);
  EXPECT_EQ(roomy.counters.num_recomputed_tokens, 0);
  pool.num_blocks = 334;  // ten prompts of 32 blocks, and too little to grow
  const PoolReport tight = SimulatePool(pool, Every(20, /*gap=*/0));
  EXPECT_GT(tight.counters.num_preemptions, 0);
  EXPECT_GT(tight.duration, roomy.duration);
  EXPECT_LE(tight.peak_blocks_in_use, 334);
  EXPECT_EQ(NumOutputTokens(tight), NumOutputTokens(roomy));
}

TEST(PoolSimulation, SharedPrefixesAreComputedOnce) {
  std::vector<Arrival> arrivals = Every(10);
  for (int i = 0; i < 10; ++i) {
    arrivals[i].num_prefix_tokens = 163;  // ten blocks, and three tokens that are no block
    arrivals[i].prefix = i % 2;
  }
  PoolOptions pool = Pool();
  const PoolReport report = SimulatePool(pool, arrivals);
  EXPECT_EQ(report.counters.num_prompt_tokens_cached, (10 - 2) * 160);
  EXPECT_EQ(report.completed.back().ttft, StepMicros(1, 160, 512 - 160));

  // Tenants share nothing: four first ones.
  for (int i = 0; i < 10; ++i) arrivals[i].tenant = i < 5 ? "web" : "batch";
  EXPECT_EQ(SimulatePool(pool, arrivals).counters.num_prompt_tokens_cached, (10 - 4) * 160);

  pool.scheduler.enable_prefix_cache = false;
  EXPECT_EQ(SimulatePool(pool, arrivals).counters.num_prompt_tokens_cached, 0);
}

// The core learns from the steps' times what a prompt token costs. A prompt of 34 ms
// comes among answers that flow.
TEST(PoolSimulation, AnswersTeachTheCoreItsPace) {
  std::vector<Arrival> arrivals = Every(4, /*gap=*/0);
  for (Arrival& arrival : arrivals) arrival.num_output_tokens = 300;
  arrivals.push_back({.at = 100'000, .num_input_tokens = 8000, .num_output_tokens = 1});
  PoolOptions pool = Pool();
  pool.scheduler.max_mixed_step = 5'000;
  const PoolReport paced = SimulatePool(pool, arrivals);
  EXPECT_LT(*std::max_element(paced.itl_ms.begin(), paced.itl_ms.end()), 8);
  pool.scheduler.max_mixed_step = 0;
  const PoolReport unpaced = SimulatePool(pool, arrivals);
  EXPECT_GT(*std::max_element(unpaced.itl_ms.begin(), unpaced.itl_ms.end()), 30);
}

TEST(PoolSimulation, PriorityGoesFirst) {
  PoolOptions pool = Pool();
  pool.max_num_seqs = 1;
  std::vector<Arrival> arrivals = Every(3, /*gap=*/0);
  arrivals[2].priority = -1;
  arrivals[2].num_input_tokens = 100;
  const PoolReport report = SimulatePool(pool, arrivals);
  EXPECT_EQ(report.completed[0].num_input_tokens, 100);
}

TEST(PoolSimulation, RefusalsAreToldApart) {
  PoolOptions pool = Pool();
  pool.num_blocks = 40;  // 640 tokens
  pool.max_num_seqs = 1;
  pool.scheduler.max_waiting_sequences = 3;
  std::vector<Arrival> arrivals = Every(6, /*gap=*/0);
  arrivals[0].num_output_tokens = 1000;
  arrivals[1].num_input_tokens = 640;
  const PoolReport report = SimulatePool(pool, arrivals);
  EXPECT_EQ(report.rejected_for_size.count, 1);
  EXPECT_THAT(report.rejected_for_size.example, ::testing::HasSubstr("640"));
  EXPECT_EQ(report.rejected_by_queue.count, 2);
  EXPECT_THAT(report.rejected_by_queue.example, ::testing::HasSubstr("queue is full"));
  EXPECT_EQ(report.completed.size(), 3u);
  EXPECT_EQ(report.completed[0].num_output_tokens, 640 - 512);
  EXPECT_EQ(report.num_cut_answers, 1);
  EXPECT_EQ(report.failed.count, 0);
}

TEST(PoolSimulation, OneSeedHasOneResult) {
  const auto simulate = [](uint64_t seed) {
    PoolOptions pool = Pool();
    pool.num_workers = 3;
    pool.num_blocks = 300;
    pool.max_num_seqs = 8;
    return SimulatePool(
        pool, DrawTraffic({.num_requests = 500,
                           .request_rate = 200,
                           .input = LengthDistribution::Parse("lognormal:300,0.5").value(),
                           .output = LengthDistribution::Parse("uniform:1-400").value(),
                           .prefix_len = 100,
                           .num_prefixes = 3,
                           .seed = seed}));
  };
  const PoolReport a = simulate(1), b = simulate(1), other = simulate(2);
  EXPECT_EQ(a.duration, b.duration);
  EXPECT_EQ(a.itl_ms, b.itl_ms);
  EXPECT_EQ(a.counters.num_steps, b.counters.num_steps);
  EXPECT_EQ(a.counters.num_preemptions, b.counters.num_preemptions);
  EXPECT_GT(a.counters.num_preemptions, 0);
  EXPECT_EQ(a.timeline.Columns(Timeline::kWaiting, 9, a.duration),
            b.timeline.Columns(Timeline::kWaiting, 9, b.duration));
  EXPECT_NE(a.duration, other.duration);
}

TEST(PoolSimulation, AGpusMemoryIsCountedInBlocks) {
  // By hand: 126.9 GB less 3.09 GB of weights, in blocks of 16 times 28,672 bytes.
  EXPECT_NEAR(BlocksInBytes(Qwen2_1_5B(), 16, KvBytes(*FindGpu("H200"), Qwen2_1_5B(), 0.9)),
              269'900, 500);
  EXPECT_EQ(BlocksInBytes(Qwen2_1_5B(), 16, 16 * 28'672 - 1), 0);
}

}  // namespace
}  // namespace weft::sim
