#include "sim/step_time.h"

#include <gtest/gtest.h>

#include <set>

namespace weft::sim {
namespace {

double DecodeMillis(const char* gpu, int rows, int context) {
  StepLoad load;
  for (int i = 0; i < rows; ++i) load.AddRow(context - 1, 1, /*samples=*/true);
  return 1e3 * StepSeconds(*FindGpu(gpu), Qwen2_1_5B(), load);
}

// Worked by hand: 3.087 GB of weights, 28,672 bytes of KV a token.
TEST(StepTime, DecodeIsBoundByBandwidthThenByCompute) {
  EXPECT_NEAR(DecodeMillis("H200", 1, 512), 0.72, 0.01);
  EXPECT_NEAR(DecodeMillis("H200", 64, 2048), 1.59, 0.02);
  EXPECT_NEAR(DecodeMillis("H200", 256, 512), 1.87, 0.02);
  EXPECT_NEAR(DecodeMillis("H200", 256, 8192), 15.0, 0.1);
  EXPECT_NEAR(DecodeMillis("T4", 256, 512), 23.9, 0.2);
}

TEST(StepTime, PrefillIsBoundByComputeAndAttentionGrowsQuadratically) {
  StepLoad load;
  load.AddRow(0, 8192, /*samples=*/true);
  EXPECT_EQ(load.num_attention_pairs, 8192LL * 8193 / 2);
  EXPECT_NEAR(1e3 * StepSeconds(*FindGpu("H200"), Qwen2_1_5B(), load), 34.5, 1.0);
}

TEST(StepTime, ChunksOfAPromptDoTheWorkOfTheWhole) {
  StepLoad whole;
  whole.AddRow(0, 1000, true);
  StepLoad chunks;
  chunks.AddRow(0, 300, false);
  chunks.AddRow(300, 700, true);
  EXPECT_EQ(chunks.num_attention_pairs, whole.num_attention_pairs);
  EXPECT_EQ(chunks.num_tokens, whole.num_tokens);
}

TEST(StepTime, AnEmptyStepTakesNoTime) {
  EXPECT_EQ(StepSeconds(*FindGpu("T4"), Qwen2_1_5B(), {}), 0);
}

TEST(StepTime, AnUnknownGpuHasNoRoofline) { EXPECT_EQ(FindGpu("H2000"), nullptr); }

TEST(SimulatedToken, DependsOnEveryArgumentAndCoversTheVocabulary) {
  EXPECT_EQ(SimulatedToken(1, 2, 3, 1000), SimulatedToken(1, 2, 3, 1000));
  std::set<TokenId> seen;
  for (int i = 0; i < 10000; ++i) {
    const TokenId token = SimulatedToken(1, 2, i, 100);
    ASSERT_GE(token, 0);
    ASSERT_LT(token, 100);
    seen.insert(token);
  }
  EXPECT_EQ(seen.size(), 100u);
  int equal_seed = 0, equal_request = 0;
  for (int i = 0; i < 1000; ++i) {
    equal_seed += SimulatedToken(1, 2, i, 100) == SimulatedToken(2, 2, i, 100);
    equal_request += SimulatedToken(1, 2, i, 100) == SimulatedToken(1, 3, i, 100);
  }
  EXPECT_LT(equal_seed, 40);  // 10 expected
  EXPECT_LT(equal_request, 40);
}

}  // namespace
}  // namespace weft::sim
