#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "worker/ops/cuda/skinny_linear.h"
#include "worker/ops/cuda/testing.cuh"

namespace weft::worker::ops::cuda {
namespace {

struct Case {
  int num_tokens, n, k;
};

class SkinnyLinearTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
    ASSERT_EQ(PrepareSkinnyLinear(), cudaSuccess);
  }

  // What the kernel should give, in double from the rounded inputs.
  template <class T>
  void Check(Epilogue epilogue, bool norm) {
    const int num_tokens = GetParam().num_tokens, n = GetParam().n, k = GetParam().k;
    if (num_tokens > MaxSkinnyTokens(epilogue)) return;  // refused
    std::mt19937 random(num_tokens * 7919 + n * 31 + k);
    const int weight_rows = epilogue == Epilogue::kSiluMul ? 2 * n : n;
    const auto x = Random<T>(random, int64_t{num_tokens} * k, 1);
    const auto norm_weight = Random<T>(random, k, 1);
    const auto weight = Random<T>(random, int64_t{weight_rows} * k, 1 / std::sqrt(float(k)));
    const auto bias = Random<T>(random, n, 1);
    const auto before = Random<T>(random, int64_t{num_tokens} * n, 1);
    DeviceArray<T> d_x(x), d_norm(norm_weight), d_weight(weight), d_bias(bias), d_out(before);
    DeviceArray<float> d_float(std::vector<float>(before.size(), NAN));
    SkinnyLinearArgs args;
    args.dtype = DTypeOf<T>();
    args.epilogue = epilogue;
    args.num_tokens = num_tokens;
    args.n = n;
    args.k = k;
    args.x = d_x.data();
    if (norm) {
      args.norm_weight = d_norm.data();
      args.epsilon = 1e-6f;
    }
    args.weight = d_weight.data();
    if (epilogue == Epilogue::kStore) args.bias = d_bias.data();
    args.out = epilogue == Epilogue::kFloat ? static_cast<void*>(d_float.data()) : d_out.data();
    ASSERT_TRUE(FitsSkinnyLinear(args, NumSms()));
    ASSERT_EQ(SkinnyLinear(args, NumSms(), nullptr), cudaSuccess);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);

    std::vector<float> got;
    if (epilogue == Epilogue::kFloat) {
      got = d_float.Read();
    } else {
      for (T value : d_out.Read()) got.push_back(float(value));
    }
    std::vector<double> normed(k);
    for (int t = 0; t < num_tokens; ++t) {
      const T* row = x.data() + int64_t{t} * k;
      double squares = 0;
      for (int i = 0; i < k; ++i) squares += double(float(row[i])) * double(float(row[i]));
      const double scale = 1 / std::sqrt(squares / k + 1e-6);
      for (int i = 0; i < k; ++i) {
        normed[i] = float(row[i]);
        if (norm) normed[i] *= scale * float(norm_weight[i]);
      }
      const auto dot = [&](int r) {
        double sum = 0;
        for (int i = 0; i < k; ++i) sum += normed[i] * double(float(weight[int64_t{r} * k + i]));
        return sum;
      };
      for (int c = 0; c < n; ++c) {
        double want = dot(c);
        if (epilogue == Epilogue::kStore) want += float(bias[c]);
        if (epilogue == Epilogue::kAdd) want += float(before[int64_t{t} * n + c]);
        if (epilogue == Epilogue::kSiluMul) want = want / (1 + std::exp(-want)) * dot(n + c);
        // x * norm_weight is rounded: of K errors of some 1e-3 each, none of which the
        // weight lets weigh more than 1 / sqrt(K), the sum stays far below ten times that.
        ASSERT_NEAR(got[int64_t{t} * n + c], want, std::abs(want) / 128 + (norm ? 1.5e-2 : 2e-4))
            << "token " << t << " column " << c;
      }
    }
  }
};

TEST_P(SkinnyLinearTest, StoresWithBias) { Check<__nv_bfloat16>(Epilogue::kStore, false); }
TEST_P(SkinnyLinearTest, NormalizesAndStores) { Check<__nv_bfloat16>(Epilogue::kStore, true); }
TEST_P(SkinnyLinearTest, Adds) { Check<__nv_bfloat16>(Epilogue::kAdd, false); }
TEST_P(SkinnyLinearTest, Gates) { Check<__nv_bfloat16>(Epilogue::kSiluMul, false); }
TEST_P(SkinnyLinearTest, NormalizesAndGates) { Check<__nv_bfloat16>(Epilogue::kSiluMul, true); }
TEST_P(SkinnyLinearTest, GivesFloats) { Check<__nv_bfloat16>(Epilogue::kFloat, false); }
TEST_P(SkinnyLinearTest, NormalizesAndGivesFloats) { Check<__nv_bfloat16>(Epilogue::kFloat, true); }
TEST_P(SkinnyLinearTest, AddsInFp16) { Check<__half>(Epilogue::kAdd, false); }
TEST_P(SkinnyLinearTest, NormalizesAndGatesInFp16) { Check<__half>(Epilogue::kSiluMul, true); }

// Every template of tokens, K of one piece, of several and with a rest; N that ends
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
