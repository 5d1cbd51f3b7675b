#include "sim/pool/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace weft::sim {
namespace {

using ::testing::ElementsAre;

TEST(Timeline, AveragesOverEachColumn) {
  // 0 1 2 3 4 5 6 7
  // 4 4 4 . . . 8 8
  Timeline timeline;
  timeline.Add(Timeline::kRunning, 0, 3, 4);
  timeline.Add(Timeline::kRunning, 6, 8, 8);
  timeline.Add(Timeline::kWaiting, 0, 8, 1);
  EXPECT_THAT(timeline.Columns(Timeline::kRunning, 4, 8), ElementsAre(4, 2, 0, 8));
  EXPECT_THAT(timeline.Columns(Timeline::kRunning, 1, 8), ElementsAre(3.5));
  EXPECT_THAT(timeline.Columns(Timeline::kWaiting, 2, 8), ElementsAre(1, 1));
}

TEST(Timeline, WhatComesTwiceAddsUp) {
  // Two workers' tokens, in steps that overlap.
  Timeline timeline;
  timeline.Add(Timeline::kOutputTokensPerSecond, 0, 6, 10);
  timeline.Add(Timeline::kOutputTokensPerSecond, 3, 9, 20);
  EXPECT_THAT(timeline.Columns(Timeline::kOutputTokensPerSecond, 3, 9), ElementsAre(10, 30, 20));
}

TEST(Timeline, KeepsItsSumHoweverLongItGets) {
  Timeline timeline;
  constexpr core::Micros kHour = 3'600'000'000;
  for (core::Micros at = 0; at < kHour; at += 1'000'000) {
    timeline.Add(Timeline::kRunning, at, at + 500'000, at < kHour / 2 ? 2 : 6);
  }
  const std::vector<double> columns = timeline.Columns(Timeline::kRunning, 72, kHour);
  EXPECT_NEAR(columns[10], 1, 0.1);
  EXPECT_NEAR(columns[60], 3, 0.2);
  EXPECT_NEAR(std::accumulate(columns.begin(), columns.end(), 0.0) / 72, 2, 1e-3);
}

}  // namespace
}  // namespace weft::sim
