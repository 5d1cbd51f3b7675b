#include "cli/pull/backoff.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::pull {
namespace {

using ::testing::HasSubstr;

const absl::Status kBusy = absl::UnavailableError("busy");
const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

TEST(Backoff, PausesGrowUntilItGivesUp) {
  Backoff backoff;
  absl::Time now = kNow;
  double expected_s = 0.5;
  for (int i = 1; i < Backoff::kMaxFailures; ++i, expected_s *= 2) {
    ASSERT_TRUE(backoff.OnFailure(kBusy, absl::ZeroDuration(), now).ok());
    EXPECT_NEAR(absl::ToDoubleSeconds(backoff.next_try() - now), expected_s, expected_s / 4);
    now = backoff.next_try();
  }
  EXPECT_THAT(backoff.OnFailure(kBusy, absl::ZeroDuration(), now).message(),
              HasSubstr("busy; given up after 6 tries"));
}

TEST(Backoff, ConnectionsThatBreakTogetherFailOnce) {
  Backoff backoff;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(backoff.OnFailure(kBusy, absl::ZeroDuration(), kNow).ok());
  }
  EXPECT_LT(backoff.next_try() - kNow, absl::Seconds(1));
}

TEST(Backoff, ProgressForgives) {
  Backoff backoff;
  absl::Time now = kNow;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(backoff.OnFailure(kBusy, absl::ZeroDuration(), now).ok());
    now = backoff.next_try();
    backoff.OnProgress();
  }
}

TEST(Backoff, TheServerMayAskForMoreButNotForHours) {
  Backoff backoff;
  ASSERT_TRUE(backoff.OnFailure(kBusy, absl::Seconds(20), kNow).ok());
  EXPECT_EQ(backoff.next_try(), kNow + absl::Seconds(20));
  ASSERT_TRUE(backoff.OnFailure(kBusy, absl::Seconds(30), kNow).ok());
  EXPECT_EQ(backoff.next_try(), kNow + absl::Seconds(30));
  EXPECT_FALSE(backoff.OnFailure(kBusy, absl::Hours(1), kNow).ok());
}

TEST(Backoff, WhatNoRepetitionHealsIsNotRepeated) {
  Backoff backoff;
  const absl::Status gated = absl::PermissionDeniedError("gated");
  EXPECT_EQ(backoff.OnFailure(gated, absl::ZeroDuration(), kNow), gated);
}

}  // namespace
}  // namespace weft::pull
