#include "gateway/auth/meter.h"

#include "gtest/gtest.h"

namespace weft::auth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct MeterTest : ::testing::Test {
  std::optional<Meter::Refusal> Enter() { return meter.Enter(limits, now); }
  // Enters and leaves at once.
  bool Passes() {
    if (Enter()) return false;
    meter.Leave();
    return true;
  }
  void Use(int64_t tokens) { meter.UseTokens(tokens, limits, now); }

  Time now{seconds(1'000'000)};
  KeyLimits limits;
  Meter meter;
};

TEST_F(MeterTest, WithoutLimitsEverythingPasses) {
  Use(1'000'000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Enter(), std::nullopt);
}

TEST_F(MeterTest, AMinutesRequestsMayComeAtOnceAndComeBackEvenly) {
  limits.requests_per_minute = 6;  // one in ten seconds
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(Passes()) << i;
  const auto refusal = Enter();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->limit, Limit::kRequests);
  EXPECT_EQ(refusal->retry_after, seconds(10));
  now += milliseconds(9'999);
  EXPECT_FALSE(Passes());
  now += milliseconds(1);
  EXPECT_TRUE(Passes());
  EXPECT_FALSE(Passes());
  now += seconds(3600);  // no more than a minute's worth is saved up
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(Passes()) << i;
  EXPECT_FALSE(Passes());
}

TEST_F(MeterTest, ARefusedRequestCostsNothing) {
  limits = {.requests_per_minute = 2, .concurrent_requests = 1};
  EXPECT_EQ(Enter(), std::nullopt);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Enter()->limit, Limit::kConcurrency);
  EXPECT_EQ(meter.Requests(limits, now).remaining, 1);
  meter.Leave();
  EXPECT_TRUE(Passes());
}

TEST_F(MeterTest, TokensAreOverdrawnByWhatRunsAndThenPaidBack) {
  limits.tokens_per_minute = 600;  // ten a second
  EXPECT_TRUE(Passes());
  Use(599);
  EXPECT_TRUE(Passes());  // one is left
  Use(601);               // twice the budget
  EXPECT_EQ(meter.Tokens(limits, now).remaining, 0);
  EXPECT_EQ(meter.Tokens(limits, now).reset, seconds(120));
  const auto refusal = Enter();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->limit, Limit::kTokens);
  EXPECT_EQ(refusal->retry_after, milliseconds(60'100));  // until one is there
  now += refusal->retry_after;
  EXPECT_TRUE(Passes());
}

TEST_F(MeterTest, RunningRequestsAreCountedUntilTheyLeave) {
  limits.concurrent_requests = 2;
  EXPECT_EQ(Enter(), std::nullopt);
  EXPECT_EQ(Enter(), std::nullopt);
  EXPECT_EQ(Enter()->limit, Limit::kConcurrency);
  EXPECT_GT(Enter()->retry_after.count(), 0);
  meter.Leave();
  EXPECT_EQ(Enter(), std::nullopt);
}

TEST_F(MeterTest, LimitsMayChangeUnderWay) {
  EXPECT_EQ(Enter(), std::nullopt);  // counted, though nothing limits it yet
  limits.concurrent_requests = 1;
  EXPECT_EQ(Enter()->limit, Limit::kConcurrency);
  meter.Leave();
  limits = {.requests_per_minute = 60};
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(Passes());
  limits.requests_per_minute = 120;
  EXPECT_TRUE(Passes());
  limits.requests_per_minute = 30;
  EXPECT_FALSE(Passes());
}

TEST_F(MeterTest, ABudgetSaysWhatIsLeftAndWhenItIsWhole) {
  limits = {.requests_per_minute = 60, .tokens_per_minute = 6000};
  EXPECT_EQ(meter.Requests(limits, now).remaining, 60);
  EXPECT_EQ(meter.Requests(limits, now).reset.count(), 0);
  EXPECT_TRUE(Passes());
  EXPECT_TRUE(Passes());
  EXPECT_EQ(meter.Requests(limits, now).remaining, 58);
  EXPECT_EQ(meter.Requests(limits, now).reset, seconds(2));
  now += milliseconds(500);
  EXPECT_EQ(meter.Requests(limits, now).remaining, 58);
  now += milliseconds(1500);
  EXPECT_EQ(meter.Requests(limits, now).remaining, 60);
}

}  // namespace
}  // namespace weft::auth
