#include "cli/eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft::eval {
namespace {

TEST(ClusteredMean, OneValueAGroupIsTheUsualError) {
  const Estimate estimate = ClusteredMean({{1}, {0}, {1}, {1}});
  EXPECT_DOUBLE_EQ(estimate.mean, 0.75);
  EXPECT_DOUBLE_EQ(estimate.standard_error, std::sqrt(0.75 * 0.25 / 3));
}

TEST(ClusteredMean, RepeatingAnAnswerAddsNoCertainty) {
  const Estimate once = ClusteredMean({{1}, {0}, {1}, {1}});
  const Estimate often = ClusteredMean({{1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {1, 1, 1}});
  EXPECT_DOUBLE_EQ(often.mean, once.mean);
  EXPECT_DOUBLE_EQ(often.standard_error, once.standard_error);
}

TEST(ClusteredMean, SeedsThatDifferDo) {
  EXPECT_DOUBLE_EQ(ClusteredMean({{1, 0}, {0, 1}}).standard_error, 0);
  EXPECT_DOUBLE_EQ(ClusteredMean({{1, 1}, {0, 0}}).standard_error, 0.5);
}

TEST(ClusteredMean, OfNothingIsNothing) {
  EXPECT_EQ(ClusteredMean({}).mean, 0);
  EXPECT_EQ(ClusteredMean({{1, 1}}).standard_error, 0);
}

TEST(WilsonInterval, OfPublishedExamples) {
  EXPECT_NEAR(WilsonInterval(81, 263).low, 0.2553, 1e-3);
  EXPECT_NEAR(WilsonInterval(81, 263).high, 0.3662, 1e-3);
  EXPECT_NEAR(WilsonInterval(0, 20).high, 0.1611, 1e-3);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

}  // namespace
}  // namespace weft::eval
