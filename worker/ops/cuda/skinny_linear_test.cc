#include "worker/ops/cuda/skinny_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {
namespace {

struct Case {
  int num_tokens, n, k;
};

class SkinnyLinearTest : public ::testing::TestWithParam<Case> {
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

  // Against sums in double of the rounded inputs.
  void CheckOn(const DeviceFeatures& device, DType dtype, Epilogue epilogue, bool norm) {
    const int num_tokens = GetParam().num_tokens, n = GetParam().n, k = GetParam().k;
    if (num_tokens > MaxSkinnyTokens(epilogue)) return;  // refused
    std::mt19937 random(num_tokens * 7919 + n * 31 + k);
    const auto numbers = [&](int64_t count, float deviation) {
      return RandomNumbers(count, dtype, random, deviation);
    };
    const int64_t weight_rows = epilogue == Epilogue::kSiluMul ? 2 * n : n;
    const auto x = numbers(int64_t{num_tokens} * k, 1);
    const auto norm_weight = numbers(k, 1);
    const auto weight = numbers(weight_rows * k, 1 / std::sqrt(static_cast<float>(k)));
    const auto bias = numbers(n, 1);
    const auto before = numbers(int64_t{num_tokens} * n, 1);

    const DeviceNumbers d_x(x, dtype), d_norm(norm_weight, dtype), d_weight(weight, dtype);
    const DeviceNumbers d_bias(bias, dtype);
    const DeviceNumbers d_out(before, epilogue == Epilogue::kFloat ? DType::kFloat32 : dtype);
    SkinnyLinearArgs args = {.dtype = dtype,
                             .epilogue = epilogue,
                             .num_tokens = num_tokens,
                             .n = n,
                             .k = k,
                             .x = d_x.data(),
                             .weight = d_weight.data(),
                             .out = d_out.data()};
    if (norm) {
      args.norm_weight = d_norm.data();
      args.epsilon = 1e-6f;
    }
    if (epilogue == Epilogue::kStore) args.bias = d_bias.data();
    if (!FitsSkinnyLinear(args, device)) {
      ASSERT_NE(device.shared_bytes, CurrentDevice().shared_bytes);
      return;
    }
    ASSERT_EQ(SkinnyLinear(args, device, nullptr), cudaSuccess);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    const std::vector<float> got = d_out.Read();

    std::vector<double> row(k);
    for (int t = 0; t < num_tokens; ++t) {
      double squares = 0;
      for (int i = 0; i < k; ++i) squares += std::pow(x[int64_t{t} * k + i], 2);
      const double scale = 1 / std::sqrt(squares / k + 1e-6);
      for (int i = 0; i < k; ++i) {
        row[i] = x[int64_t{t} * k + i] * (norm ? scale * norm_weight[i] : 1);
      }
      const auto dot = [&](int64_t r) {
        double sum = 0;
        for (int i = 0; i < k; ++i) sum += row[i] * weight[r * k + i];
        return sum;
      };
      for (int c = 0; c < n; ++c) {
        double want = dot(c);
        if (epilogue == Epilogue::kStore) want += bias[c];
        if (epilogue == Epilogue::kAdd) want += before[int64_t{t} * n + c];
        if (epilogue == Epilogue::kSiluMul) want = want / (1 + std::exp(-want)) * dot(n + c);
        // x * norm_weight is rounded: of K errors of some 1e-3 each, none of which the
        // weight lets weigh more than 1 / sqrt(K), the sum stays far below ten times that.
        ASSERT_NEAR(got[int64_t{t} * n + c], want, std::abs(want) / 128 + (norm ? 1.5e-2 : 2e-4))
            << "token " << t << " column " << c;
      }
    }
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
                         ::testing::Values(Case{1, 2048, 1536}, Case{1, 1536, 8960},
                                           Case{3, 700, 896}, Case{8, 8960, 1536},
                                           Case{11, 5000, 192}, Case{16, 1536, 2048},
                                           Case{13, 3002, 832}, Case{27, 3002, 832},
                                           Case{32, 1536, 8960}),
                         [](const auto& info) {
                           return "T" + std::to_string(info.param.num_tokens) + "N" +
                                  std::to_string(info.param.n) + "K" + std::to_string(info.param.k);
                         });

}  // namespace
}  // namespace weft::worker::ops::cuda
