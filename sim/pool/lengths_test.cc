#include "sim/pool/lengths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::sim {
namespace {

// 10,001 draws, ascending: the one at 5000 is the median.
std::vector<int> Draws(const char* text) {
  Random random(1);
  const LengthDistribution lengths = LengthDistribution::Parse(text).value();
  std::vector<int> draws(10'001);
  for (int& draw : draws) draw = lengths.Draw(random);
  std::sort(draws.begin(), draws.end());
  return draws;
}

TEST(Lengths, AFixedOneIsAlwaysTheSame) {
  const std::vector<int> draws = Draws("512");
  EXPECT_EQ(draws.front(), 512);
  EXPECT_EQ(draws.back(), 512);
}

TEST(Lengths, AUniformOneReachesBothEnds) {
  const std::vector<int> draws = Draws("uniform:100-300");
  EXPECT_EQ(draws.front(), 100);
  EXPECT_EQ(draws.back(), 300);
  EXPECT_NEAR(draws[5000], 200, 3);
  EXPECT_NEAR(draws[1000], 120, 3);
}

TEST(Lengths, ALogNormalHasItsMedianAndSpread) {
  const std::vector<int> draws = Draws("lognormal:512,0.8");
  EXPECT_NEAR(draws[5000], 512, 15);
  // One standard deviation, and two: 84.13% and 97.72% lie below.
  EXPECT_NEAR(draws[8413] / (512 * std::exp(0.8)), 1, 0.05);
  EXPECT_NEAR(draws[9772] / (512 * std::exp(1.6)), 1, 0.08);
  EXPECT_EQ(Draws("lognormal:512,0").back(), 512);
}

TEST(Lengths, ALogNormalIsCutToWhatCanBe) {
  const std::vector<int> draws = Draws("lognormal:100000,9");
  EXPECT_EQ(draws.front(), 1);
  EXPECT_EQ(draws.back(), kMaxLength);
}

TEST(Lengths, WhatIsNoneOfThemSaysWhatIs) {
  for (const char* text : {"", "0", "-5", "512 tokens", "1e3", "2000000", "uniform:", "uniform:5",
                           "uniform:0-5", "uniform:9-5", "lognormal:512", "lognormal:512,-1",
                           "lognormal:512,nan", "lognormal:0,1", "lognormal:512,11", "zipf:3"}) {
    EXPECT_THAT(LengthDistribution::Parse(text).status().message(),
                ::testing::HasSubstr("lognormal:512,0.8"))
        << text;
  }
}

}  // namespace
}  // namespace weft::sim
