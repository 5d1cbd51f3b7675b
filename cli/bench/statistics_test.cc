#include "cli/bench/statistics.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

TEST(Percentile, IsNumpys) {
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(Percentile(values, 0), 1);
  EXPECT_DOUBLE_EQ(Percentile(values, 50), 2.5);
  EXPECT_DOUBLE_EQ(Percentile(values, 90), 3.7);
  EXPECT_DOUBLE_EQ(Percentile(values, 99), 3.97);
  EXPECT_DOUBLE_EQ(Percentile(values, 100), 4);
  EXPECT_DOUBLE_EQ(Percentile(std::vector<double>{7}, 99), 7);
}

TEST(Summarize, NeedsNoOrderAndNoValues) {
  const Summary summary = Summarize(std::vector<float>{4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(summary.mean, 2.5);
  EXPECT_DOUBLE_EQ(summary.p50, 2.5);
  EXPECT_NEAR(summary.std, 1.118034, 1e-6);
  EXPECT_EQ(Summarize(std::vector<float>{}).p99, 0);
}

Measurements Two() {
  Measurements measured;
  measured.requests = {
      {.ttft_ms = 100,
       .e2e_ms = 1000,
       .mean_itl_ms = 9,
       .num_prompt_tokens = 5,
       .num_output_tokens = 101},
      {.ttft_ms = 300, .e2e_ms = 300, .num_prompt_tokens = 7, .num_output_tokens = 1}};
  return measured;
}

TEST(Results, TotalsAndRates) {
  Measurements measured = Two();
  measured.AddError("HTTP 503", "busy", 3);
  measured.AddError("HTTP 503", "still busy", 5);
  const Results results = Summarize(measured, 2, {});
  EXPECT_EQ(results.num_succeeded, 2);
  EXPECT_EQ(results.num_failed, 2);
  EXPECT_EQ(results.num_prompt_tokens, 12);
  EXPECT_EQ(results.num_output_tokens, 102);
  EXPECT_DOUBLE_EQ(results.PerSecond(results.num_output_tokens), 51);
  EXPECT_DOUBLE_EQ(results.ttft_ms.mean, 200);
}

TEST(Results, TpotIsOfTheTokensBehindTheFirst) {
  EXPECT_DOUBLE_EQ(Summarize(Two(), 2, {}).tpot_ms.mean, 9) << "an answer of one token has none";
}

TEST(Results, AGoodRequestKeepsEveryBound) {
  EXPECT_EQ(Summarize(Two(), 2, {}).num_good, 2);
  EXPECT_EQ(Summarize(Two(), 2, {.ttft = 100}).num_good, 1);
  EXPECT_EQ(Summarize(Two(), 2, {.ttft = 100, .itl = 8.9}).num_good, 0);
  EXPECT_EQ(Summarize(Two(), 2, {.tpot = 8.9}).num_good, 1);
  EXPECT_EQ(Summarize(Two(), 2, {.e2el = 500}).num_good, 1);
}

TEST(Results, LatenessIsPartOfALatencyAndToldApart) {
  Measurements measured;
  measured.requests = {{.ttft_ms = 250, .e2e_ms = 1000, .late_ms = 200, .num_output_tokens = 11}};
  const Results results = Summarize(measured, 1, {.ttft = 100});
  EXPECT_DOUBLE_EQ(results.ttft_ms.p50, 250);
  EXPECT_DOUBLE_EQ(results.ttft_from_sending_ms.p50, 50);
  EXPECT_DOUBLE_EQ(results.e2e_from_sending_ms.p50, 800);
  EXPECT_DOUBLE_EQ(results.late_ms.max, 200);
  EXPECT_DOUBLE_EQ(results.tpot_ms.p50, 75) << "lateness is before the first token";
  EXPECT_EQ(results.num_good, 0) << "who waits for a slot waits";
}

TEST(Measurements, MergingKeepsCountsAndOneExample) {
  Measurements first = Two(), second = Two();
  second.itl_ms = {1, 2};
  second.AddError("timeout", "an example", 20);
  second.AddError("timeout", "another", 30);
  first.Merge(std::move(second));
  EXPECT_EQ(first.requests.size(), 4u);
  EXPECT_EQ(first.itl_ms.size(), 2u);
  EXPECT_EQ(first.errors["timeout"].count(), 2);
  EXPECT_DOUBLE_EQ(Summarize(first.errors["timeout"].after_ms).mean, 25);
  EXPECT_EQ(first.errors["timeout"].example, "an example");
}

}  // namespace
}  // namespace weft::bench
