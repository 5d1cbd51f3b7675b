#include "cli/compare/roofline.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace weft::compare {
namespace {

TEST(Roofline, SingleStreamOnT4ReadsTheWeightsOncePerToken) {
  const sim::GpuRoofline* t4 = FindDevice("Tesla T4");
  ASSERT_NE(t4, nullptr);
  const Bound bound = MostTokensPerSecond(*t4, sim::Qwen2_1_5B(), 1, 0);
  EXPECT_NEAR(bound.value, 103.6, 0.2);
  // As published of this model on this card.
  EXPECT_TRUE(bound.IsPassedBy(143));
  EXPECT_FALSE(bound.IsPassedBy(102));
  EXPECT_TRUE(absl::StrContains(bound.arithmetic, "320 GB/s")) << bound.arithmetic;
}

TEST(Roofline, TtftIsBoundByArithmetic) {
  const sim::GpuRoofline* h200 = FindDevice("NVIDIA H200");
  ASSERT_NE(h200, nullptr);
  const Bound bound = LeastTtftMs(*h200, sim::Qwen2_1_5B(), 512);
  EXPECT_NEAR(bound.value, 1.73, 0.05);
  EXPECT_TRUE(bound.IsPassedBy(1.0));
  EXPECT_FALSE(bound.IsPassedBy(8.1));
  EXPECT_FALSE(bound.IsPassedBy(bound.value));
}

TEST(Roofline, BatchesShareTheWeights) {
  const sim::GpuRoofline* h200 = FindDevice("H200");
  const Bound one = MostTokensPerSecond(*h200, sim::Qwen2_1_5B(), 1, 512);
  const Bound eight = MostTokensPerSecond(*h200, sim::Qwen2_1_5B(), 8, 512);
  EXPECT_NEAR(one.value, 1386, 10);
  EXPECT_GT(eight.value, 7 * one.value);
}

// As a server does that reads KV while it multiplies: nothing that hardware allows is
// called impossible.
TEST(Roofline, AStepThatOverlapsAllItDoesIsWithinTheBound) {
  const sim::GpuRoofline* h200 = FindDevice("H200");
  const sim::ModelShape shape = sim::Qwen2_1_5B();
  for (const int num_sequences : {1, 64, 256}) {
    sim::StepLoad load;
    for (int i = 0; i < num_sequences; ++i) load.AddRow(2048, 1, true);
    const double bytes = sim::WeightBytes(shape) +
                         shape.kv_bytes_per_token * static_cast<double>(load.num_kv_tokens_read);
    const double overlapped = num_sequences * h200->bytes_per_second / bytes;
    const Bound bound = MostTokensPerSecond(*h200, shape, num_sequences, 2048);
    EXPECT_FALSE(bound.IsPassedBy(overlapped)) << num_sequences;
    EXPECT_GE(bound.value, num_sequences / sim::StepSeconds(*h200, shape, load) * (1 - 1e-9));
  }
}

TEST(Roofline, OtherDevicesAreUnknown) {
  for (const char* name : {"", "NVIDIA GH200 480GB", "NVIDIA H200 MIG 1g.18gb", "AMD EPYC"}) {
    EXPECT_EQ(FindDevice(name), nullptr) << name;
  }
  EXPECT_NE(FindDevice("CPU"), nullptr);
}

}  // namespace
}  // namespace weft::compare
