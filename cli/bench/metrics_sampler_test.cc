#include "cli/bench/metrics_sampler.h"

#include "cli/bench/server_metrics.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

TEST(SummarizeSamples, AreOfTheSamplesThatHaveIt) {
  const MetricSamples samples{.times_s = {0, 1, 2, 3},
                              .rows = {{3, {}}, {{}, {}}, {9, {}}, {6, {}}}};
  const auto summary = SummarizeSamples(samples, 0);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->min, 3);
  EXPECT_EQ(summary->mean, 6);
  EXPECT_EQ(summary->max, 9);
  EXPECT_EQ(summary->increase, 3);
  EXPECT_FALSE(SummarizeSamples(samples, 1));
}

TEST(MetricsSampler, TellsWhichServerDoesNotAnswer) {
  MetricsSampler sampler({"http://127.0.0.1:1/metrics"}, {});
  const MetricSamples samples = sampler.Stop();
  EXPECT_GE(samples.times_s.size(), 1u);
  EXPECT_EQ(samples.rows.size(), samples.times_s.size());
  EXPECT_EQ(samples.num_failed, static_cast<int>(samples.rows.size()));
  EXPECT_NE(samples.error.find("http://127.0.0.1:1/metrics: "), std::string::npos);
  EXPECT_EQ(samples.rows[0].size(), ServerMetrics().size());
}

TEST(MetricsSampler, WithoutAnAddressDoesNothing) {
  MetricsSampler sampler({}, {});
  EXPECT_TRUE(sampler.Stop().rows.empty());
}

}  // namespace
}  // namespace weft::bench
