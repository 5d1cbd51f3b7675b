#include "sim/pool/traffic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace weft::sim {
namespace {

TEST(Traffic, ArrivesAtItsRate) {
  const std::vector<Arrival> arrivals =
      DrawTraffic({.num_requests = 20'001, .request_rate = 50, .seed = 3});
  EXPECT_EQ(arrivals.front().at, 0);
  EXPECT_NEAR(1e-6 * arrivals.back().at, 20'000 / 50.0, 0.03 * 400);
  // Poisson: a gap exceeds the mean one with probability 1/e.
  int num_long_gaps = 0;
  for (size_t i = 1; i < arrivals.size(); ++i) {
    ASSERT_GE(arrivals[i].at, arrivals[i - 1].at);
    num_long_gaps += arrivals[i].at - arrivals[i - 1].at > 20'000;
  }
  EXPECT_NEAR(num_long_gaps / 20'000.0, std::exp(-1), 0.01);
}

TEST(Traffic, BurstinessIsTheGapsGammaShape) {
  for (const double shape : {0.25, 0.9, 1.0, 1.5, 9.0}) {
    SCOPED_TRACE(shape);
    const int count = 40'000;
    const std::vector<Arrival> arrivals = DrawTraffic(
        {.num_requests = count + 1, .request_rate = 50, .burstiness = shape, .seed = 3});
    double squares = 0, cubes = 0;
    for (int i = 1; i <= count; ++i) {
      const double gap = 50e-6 * static_cast<double>(arrivals[i].at - arrivals[i - 1].at);
      squares += (gap - 1) * (gap - 1);
      cubes += std::pow(gap - 1, 3);
    }
    const double deviation = std::sqrt(squares / count);
    EXPECT_NEAR(50e-6 * arrivals.back().at / count, 1, 5 * deviation / std::sqrt(count));
    EXPECT_NEAR(deviation * std::sqrt(shape), 1, 0.06);
    EXPECT_NEAR(cubes / count / std::pow(deviation, 3) * std::sqrt(shape) / 2, 1, 0.25);
  }
}

TEST(Traffic, WithoutARateComesAllAtOnce) {
  for (const double rate : {0.0, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(DrawTraffic({.num_requests = 10, .request_rate = rate}).back().at, 0);
  }
}

TEST(Traffic, AnotherRateIsTheSameRequestsAtOtherTimes) {
  TrafficOptions options{.num_requests = 100,
                         .request_rate = 10,
                         .input = LengthDistribution::Parse("uniform:1-1000").value(),
                         .output = LengthDistribution::Parse("lognormal:100,1").value(),
                         .prefix_len = 64,
                         .num_prefixes = 7};
  const std::vector<Arrival> slow = DrawTraffic(options);
  options.request_rate = 20;
  const std::vector<Arrival> fast = DrawTraffic(options);
  options.seed = 1;
  const std::vector<Arrival> other = DrawTraffic(options);
  std::set<uint64_t> prefixes;
  int num_other_lengths = 0;
  for (int i = 0; i < 100; ++i) {
    EXPECT_NEAR(fast[i].at, slow[i].at / 2, 1);
    EXPECT_EQ(fast[i].num_input_tokens, slow[i].num_input_tokens);
    EXPECT_EQ(fast[i].num_output_tokens, slow[i].num_output_tokens);
    EXPECT_EQ(fast[i].prefix, slow[i].prefix);
    EXPECT_EQ(fast[i].num_prefix_tokens, 64);
    EXPECT_GT(fast[i].num_input_tokens, 64);
    prefixes.insert(fast[i].prefix);
    num_other_lengths += other[i].num_input_tokens != fast[i].num_input_tokens;
  }
  EXPECT_EQ(prefixes.size(), 7u);
  EXPECT_GT(num_other_lengths, 90);
}

}  // namespace
}  // namespace weft::sim
