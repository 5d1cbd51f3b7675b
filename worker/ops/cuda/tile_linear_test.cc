#include "worker/ops/cuda/tile_linear.h"

#include <gtest/gtest.h>

#include "worker/ops/cuda/linear_testing.h"

namespace weft::worker::ops::cuda {
namespace {

class TileLinearTest : public ::testing::TestWithParam<LinearCase> {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
    if (!CurrentDevice().has_wgmma()) GTEST_SKIP() << "needs sm_90";
    ASSERT_EQ(PrepareTileLinear(CurrentDevice()), cudaSuccess);
  }

  void Check(DType dtype, Epilogue epilogue) {
    const LinearProblem problem(GetParam(), dtype, epilogue, epilogue != Epilogue::kAdd);
    if (!FitsTileLinear(problem.args(), CurrentDevice())) {
      EXPECT_NE(epilogue, Epilogue::kSiluMul);  // which takes all of these
      return;
    }
    ASSERT_EQ(TileLinear(problem.args(), CurrentDevice(), nullptr), cudaSuccess);
    problem.Check();
  }
};

TEST_P(TileLinearTest, Gates) { Check(DType::kBFloat16, Epilogue::kSiluMul); }
TEST_P(TileLinearTest, Adds) { Check(DType::kBFloat16, Epilogue::kAdd); }
TEST_P(TileLinearTest, StoresWithBias) { Check(DType::kBFloat16, Epilogue::kStore); }
TEST_P(TileLinearTest, GatesInFp16) { Check(DType::kFloat16, Epilogue::kSiluMul); }
TEST_P(TileLinearTest, StoresInFp16) { Check(DType::kFloat16, Epilogue::kStore); }
TEST_P(TileLinearTest, AddsInFp16) { Check(DType::kFloat16, Epilogue::kAdd); }

// Tokens in one part of x, in some and in all; K shorter than the ring, and longer; a last
// tile that is not full, clusters with blocks that have none, and more tiles than blocks.
INSTANTIATE_TEST_SUITE_P(Shapes, TileLinearTest,
                         ::testing::Values(LinearCase{1, 72, 64}, LinearCase{17, 2048, 1536},
                                           LinearCase{32, 1536, 1536}, LinearCase{33, 1000, 896},
                                           LinearCase{48, 328, 1728}, LinearCase{64, 8960, 1536},
                                           LinearCase{64, 10008, 192}),
                         NameOf);

}  // namespace
}  // namespace weft::worker::ops::cuda
