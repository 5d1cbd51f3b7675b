#include "scheduler/core/step_pace.h"

#include <gtest/gtest.h>

namespace weft::core {
namespace {

constexpr int kNoLimit = std::numeric_limits<int>::max();

TEST(StepPace, SaysNothingBeforeItHasSeenBothKindsOfStep) {
  StepPace pace;
  EXPECT_EQ(pace.MaxPromptTokens(5'000), kNoLimit);
  pace.Learn(1000, 9'000);  // of which how much are the weights?
  EXPECT_EQ(pace.MaxPromptTokens(5'000), kNoLimit);
  pace.Learn(0, 1'000);
  EXPECT_EQ(pace.MaxPromptTokens(5'000), kNoLimit);
  pace.Learn(1000, 9'000);  // 8 us a token
  EXPECT_EQ(pace.MaxPromptTokens(5'000), 500);
}

TEST(StepPace, StepsThatNobodyMeasuredAreNoSteps) {
  StepPace pace;
  pace.Learn(0, 0);
  pace.Learn(100, 0);
  EXPECT_EQ(pace.MaxPromptTokens(5'000), kNoLimit);
}

TEST(StepPace, SlowDecodesLeavePromptsAsMuchTimeAgain) {
  StepPace pace;
  pace.Learn(0, 80'000);
  pace.Learn(100, 380'000);                    // 3 ms a token
  EXPECT_EQ(pace.MaxPromptTokens(5'000), 26);  // 80 ms
  EXPECT_EQ(pace.MaxPromptTokens(200'000), 40);
}

TEST(StepPace, PromptsAlwaysGetOn) {
  StepPace pace;
  pace.Learn(0, 1'000);
  pace.Learn(100, 1'000'000);
  EXPECT_EQ(pace.MaxPromptTokens(5'000), kBlockTokens);
}

TEST(StepPace, FollowsTheWorkerToAnotherPace) {
  StepPace pace;
  for (int i = 0; i < 100; ++i) {
    pace.Learn(0, 1'000);
    pace.Learn(500, 2'000);
  }
  EXPECT_EQ(pace.MaxPromptTokens(5'000), 2'000);
  for (int i = 0; i < 100; ++i) {
    pace.Learn(0, 2'000);
    pace.Learn(500, 5'000);
  }
  EXPECT_NEAR(pace.MaxPromptTokens(5'000), 500, 5);
}

// A prompt of a few tokens costs next to nothing, but a noisy clock may say otherwise.
TEST(StepPace, FewTokensCountForLittle) {
  StepPace pace;
  pace.Learn(0, 1'000);
  pace.Learn(1000, 5'000);
  const int before = pace.MaxPromptTokens(5'000);
  pace.Learn(4, 1'100);
  EXPECT_NEAR(pace.MaxPromptTokens(5'000), before, before / 20);
}

}  // namespace
}  // namespace weft::core
