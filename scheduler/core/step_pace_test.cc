#include "scheduler/core/step_pace.h"

#include <gtest/gtest.h>

#include <random>

namespace weft::core {
namespace {

constexpr int kNoLimit = std::numeric_limits<int>::max();

TEST(StepPace, SaysNothingBeforeItHasSeenPrompts) {
  StepPace pace;
  EXPECT_EQ(pace.MaxPromptTokens(1, 5'000), kNoLimit);
  pace.Learn(1, 0, 1'000);
  EXPECT_EQ(pace.MaxPromptTokens(1, 5'000), kNoLimit);
  pace.Learn(0, 1000, 0);  // not measured
  EXPECT_EQ(pace.MaxPromptTokens(1, 5'000), kNoLimit);
  pace.Learn(0, 1000, 5'000);
  EXPECT_LT(pace.MaxPromptTokens(1, 5'000), 2'000);
}

// A device: what its steps take, give or take a tenth, and how a scheduler that follows the
// pace fares on it.
struct Device {
  double base, row, token;  // microseconds
  StepPace pace;
  std::mt19937 random{7};

  double Took(int rows, int tokens) { return base + row * rows + token * tokens; }
  double Run(int rows, int tokens) {
    const double took = Took(rows, tokens);
    const double noise = std::uniform_real_distribution<>(0.9, 1.1)(random);
    pace.Learn(rows, tokens, static_cast<Micros>(took * noise));
    return took;
  }
};

TEST(StepPace, KeepsMixedStepsToTheLimit) {
  Device device = {.base = 1'000, .row = 12, .token = 5};
  double longest = 0;
  for (int i = 0; i < 500; ++i) {
    device.Run(64, 0);
    const int tokens = std::min(2048, device.pace.MaxPromptTokens(64, 5'000));
    const double took = device.Run(64, tokens);
    if (i > 50) longest = std::max(longest, took);
  }
  EXPECT_NEAR(longest, 5'000, 800);
}

// Decodes alone were seen only when they were few. What the many take is not mistaken for
// the cost of prompts, which would then be starved.
TEST(StepPace, LearnsManyDecodesAmongPrompts) {
  Device device = {.base = 1'000, .row = 12, .token = 5};
  for (int i = 0; i < 20; ++i) device.Run(1, 0);
  device.Run(0, 2048);
  int64_t num_tokens = 0;
  double decode_time = 0, mixed_time = 0;
  for (int i = 0; i < 1000; ++i) {
    const int tokens = std::min(2048, device.pace.MaxPromptTokens(256, 5'000));
    mixed_time += device.Run(256, tokens);
    decode_time += device.Took(256, 0);
    num_tokens += tokens;
  }
  EXPECT_GT(num_tokens / 1000, 500);
  EXPECT_LT(mixed_time, 2.2 * decode_time);
}

TEST(StepPace, SlowDecodesLeavePromptsAsMuchTimeAgain) {
  Device device = {.base = 75'000, .row = 5'000, .token = 3'000};
  for (int i = 0; i < 300; ++i) {
    device.Run(1, 0);
    device.Run(0, 100);
  }
  EXPECT_NEAR(device.pace.MaxPromptTokens(1, 5'000), 80 / 3, 6);
  EXPECT_NEAR(device.pace.MaxPromptTokens(1, 200'000), 120 / 3, 8);
}

TEST(StepPace, PromptsAlwaysGetOn) {
  StepPace pace;
  for (int i = 0; i < 50; ++i) {
    pace.Learn(1, 0, 1'000);
    pace.Learn(0, 100, 1'000'000);
  }
  EXPECT_EQ(pace.MaxPromptTokens(1, 5'000), kBlockTokens);
}

// Hours of decodes do not wear out what was learned of prompts.
TEST(StepPace, WhatDoesNotOccurIsNotForgotten) {
  Device device = {.base = 1'000, .row = 12, .token = 5};
  for (int i = 0; i < 200; ++i) {
    device.Run(64, 0);
    device.Run(64, 600);
  }
  const int before = device.pace.MaxPromptTokens(64, 5'000);
  for (int i = 0; i < 100'000; ++i) device.Run(64, 0);
  EXPECT_NEAR(device.pace.MaxPromptTokens(64, 5'000), before, before / 5);
}

}  // namespace
}  // namespace weft::core
