#include "worker/ops/cuda/skinny_linear.h"

#include <gtest/gtest.h>

#include "worker/ops/cuda/linear_testing.h"

namespace weft::worker::ops::cuda {
namespace {

class SkinnyLinearTest : public ::testing::TestWithParam<LinearCase> {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
    if (!CurrentDevice().has_tensor_copies()) GTEST_SKIP() << "needs sm_90";
    ASSERT_EQ(PrepareSkinnyLinear(CurrentDevice()), cudaSuccess);
  }

  void Check(DType dtype, Epilogue epilogue, bool norm) {
    CheckOn(CurrentDevice(), dtype, epilogue, norm);
    DeviceFeatures small = CurrentDevice();
    small.shared_bytes = 99 << 10;  // as on sm_120
    CheckOn(small, dtype, epilogue, norm);
  }

  void CheckOn(const DeviceFeatures& device, DType dtype, Epilogue epilogue, bool norm) {
    const LinearProblem problem(GetParam(), dtype, epilogue, norm);
    if (!FitsSkinnyLinear(problem.args(), device)) {
      // A long x that has to lie in shared memory as a whole.
      const bool is_long = GetParam().num_tokens * GetParam().k > 100'000;
      ASSERT_TRUE(is_long || device.shared_bytes != CurrentDevice().shared_bytes);
      return;
    }
    ASSERT_EQ(SkinnyLinear(problem.args(), device, nullptr), cudaSuccess);
    problem.Check();
  }
};

constexpr DType kBf16 = DType::kBFloat16, kFp16 = DType::kFloat16;

TEST_P(SkinnyLinearTest, StoresWithBias) { Check(kBf16, Epilogue::kStore, false); }
TEST_P(SkinnyLinearTest, NormalizesAndStores) { Check(kBf16, Epilogue::kStore, true); }
TEST_P(SkinnyLinearTest, Adds) { Check(kBf16, Epilogue::kAdd, false); }
TEST_P(SkinnyLinearTest, Gates) { Check(kBf16, Epilogue::kSiluMul, false); }
TEST_P(SkinnyLinearTest, NormalizesAndGates) { Check(kBf16, Epilogue::kSiluMul, true); }
TEST_P(SkinnyLinearTest, GivesFloats) { Check(kBf16, Epilogue::kFloat, false); }
TEST_P(SkinnyLinearTest, NormalizesAndGivesFloats) { Check(kBf16, Epilogue::kFloat, true); }
TEST_P(SkinnyLinearTest, AddsInFp16) { Check(kFp16, Epilogue::kAdd, false); }
TEST_P(SkinnyLinearTest, NormalizesAndGatesInFp16) { Check(kFp16, Epilogue::kSiluMul, true); }

// Every template of tokens, K of one slot, of several and with a rest; N that ends
// inside a tile, and more tiles than a group holds.
INSTANTIATE_TEST_SUITE_P(Shapes, SkinnyLinearTest,
                         ::testing::Values(LinearCase{1, 2048, 1536}, LinearCase{1, 1536, 8960},
                                           LinearCase{3, 700, 896}, LinearCase{8, 8960, 1536},
                                           LinearCase{11, 5000, 192}, LinearCase{16, 1536, 2048},
                                           LinearCase{13, 3002, 832}, LinearCase{16, 1536, 8960}),
                         NameOf);

}  // namespace
}  // namespace weft::worker::ops::cuda
