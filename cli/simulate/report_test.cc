#include "cli/simulate/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace weft::simulate {
namespace {

using ::testing::HasSubstr;

// Four requests in two seconds; one of them was rejected.
struct Example {
  Options options{.slo = "ttft=100ms,itl=20ms"};
  sim::PoolOptions pool{.num_workers = 2, .num_blocks = 100};
  sim::PoolReport outcome;
  bench::Results results;

  Example() {
    outcome.duration = 2'000'000;
    outcome.completed = {
        {.ttft = 50'000, .e2e = 90'000, .num_input_tokens = 10, .num_output_tokens = 3},
        {.ttft = 100'000, .e2e = 100'000, .num_input_tokens = 20, .num_output_tokens = 1},
        {.ttft = 50'000, .e2e = 92'000, .num_input_tokens = 30, .num_output_tokens = 3}};
    outcome.itl_ms = {20, 20, 10, 32};
    outcome.rejected_by_queue = {.count = 1, .example = "the queue is full"};
    outcome.counters.num_steps = 10;
    outcome.counters.num_prompt_tokens_cached = 15;
    outcome.counters.num_prompt_tokens_computed = 45;
    outcome.num_rows = 25;
    outcome.busy = 1'000'000;
    outcome.num_blocks_total = 200;
    outcome.peak_blocks_in_use = 50;
    results = Summarize(outcome, bench::ParseSlo(options.slo).value());
  }
  Report report() const {
    return {.options = options, .pool = pool, .outcome = outcome, .results = results};
  }
};

TEST(Report, GoodRequestsKeepEveryBound) {
  const Example example;
  EXPECT_EQ(example.results.num_succeeded, 3);
  EXPECT_EQ(example.results.num_good, 2);  // the last one's gaps are 21 ms in the mean
  EXPECT_EQ(example.results.num_output_tokens, 7);
  EXPECT_EQ(example.results.num_prompt_tokens, 60);
  EXPECT_DOUBLE_EQ(example.results.itl_ms.p50, 20);
}

TEST(Report, TheTableHasSharesOfTheWhole) {
  const std::string table = Table(Example().report());
  for (const char* line : {"2 x H200, 100 KV blocks each",
                           "Request goodput (req/s):                 1.00 (50.0% of requests)\n",
                           "Output token throughput (tok/s):         3.50\n",
                           "Total token throughput (tok/s):          33.50\n",
                           "Time to first token (ms):                50.00 ",
                           "Prompt tokens from the prefix cache:     15 (25.0%)\n",
                           "Peak KV blocks in use:                   50 (25.0%)\n",
                           "Workers busy:                            25.0%\n",
                           "Rows per step, mean:                     2.50\n",
                           "Rejected by the queue: 1, such as: the queue is full\n"}) {
    EXPECT_THAT(table, HasSubstr(line));
  }
  EXPECT_THAT(table, Not(HasSubstr("Ended early")));
}

TEST(Report, TheJsonSaysTheSame) {
  const boost::json::value json = boost::json::parse(Json(Example().report()));
  EXPECT_EQ(json.at("completed").as_int64(), 3);
  EXPECT_EQ(json.at("rejected").as_int64(), 1);
  EXPECT_EQ(json.at("request_goodput").as_double(), 1);
  EXPECT_EQ(json.at("good_share").as_double(), 0.5);
  EXPECT_EQ(json.at("prefix_cache_hit_share").as_double(), 0.25);
  EXPECT_EQ(json.at("worker_busy_share").as_double(), 0.25);
  EXPECT_EQ(json.at("load").at("request_rate").as_string(), "inf");
  EXPECT_EQ(json.at("load").at("random_input_len").as_string(), "512");
  EXPECT_EQ(json.at("timeline").at("running").as_array().size(), 200u);
}

TEST(Report, AReplaySaysWhatWasBroken) {
  sim::SimulationReport report;
  EXPECT_THAT(ReplayTable(7, report), HasSubstr("Every rule held."));
  report.violation = "cancel of 3 was lost";
  EXPECT_THAT(ReplayTable(7, report), HasSubstr("Broken: cancel of 3 was lost"));
  sim::FaultReport all;
  all.num_crashes = 12;
  EXPECT_THAT(ReplayTable(7, all), AllOf(HasSubstr("12"), HasSubstr("Every rule held.")));
}

}  // namespace
}  // namespace weft::simulate
