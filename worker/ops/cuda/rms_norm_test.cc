#include "worker/ops/cuda/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr float kEpsilon = 1e-6f;
constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

struct Case {
  DType dtype;
  int num_tokens;
  int hidden_size;
};

std::vector<double> NormOf(const float* x, const std::vector<float>& weight) {
  double squares = 0;
  for (size_t i = 0; i < weight.size(); ++i) squares += double{x[i]} * x[i];
  const double scale = 1 / std::sqrt(squares / static_cast<double>(weight.size()) + kEpsilon);
  std::vector<double> out(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) out[i] = x[i] * scale * weight[i];
  return out;
}

// Runs it on x of `num_x` rows and compares every number with double precision.
// Without `rows` each row is normed in place of itself.
void ExpectNorm(const Case& c, int num_x, const std::vector<int32_t>& rows) {
  SCOPED_TRACE(::testing::Message() << NameOf(c.dtype) << " T=" << c.num_tokens
                                    << " H=" << c.hidden_size << (rows.empty() ? "" : " rows"));
  std::mt19937 random(c.num_tokens * 31 + c.hidden_size);
  const auto x = RandomNumbers(size_t(num_x) * c.hidden_size, c.dtype, random);
  const auto weight = RandomNumbers(c.hidden_size, c.dtype, random);
  const std::vector<float> untouched(size_t(c.num_tokens) * c.hidden_size, 7);
  DeviceNumbers device_x(x, c.dtype), device_weight(weight, c.dtype), out(untouched, c.dtype);
  DeviceValues<int32_t> device_rows(rows.empty() ? std::vector<int32_t>{0} : rows);
  ASSERT_EQ(RmsNorm({.dtype = c.dtype,
                     .x = device_x.data(),
                     .rows = rows.empty() ? nullptr : device_rows.data(),
                     .weight = device_weight.data(),
                     .out = rows.empty() ? device_x.data() : out.data(),
                     .num_tokens = c.num_tokens,
                     .hidden_size = c.hidden_size,
                     .epsilon = kEpsilon},
                    nullptr),
            cudaSuccess);
  const std::vector<float> got = rows.empty() ? device_x.Read() : out.Read();
  for (int t = 0; t < c.num_tokens; ++t) {
    const int row = rows.empty() ? t : rows[t];
    std::vector<double> expected(c.hidden_size, 0);
    if (row >= 0) expected = NormOf(&x[size_t(row) * c.hidden_size], weight);
    for (int h = 0; h < c.hidden_size; ++h) {
      const double tolerance = std::abs(expected[h]) * (RoundingOf(c.dtype) + 3e-6) + 1e-7;
      ASSERT_NEAR(got[size_t(t) * c.hidden_size + h], expected[h], tolerance)
          << "t=" << t << " h=" << h;
    }
  }
}

// 16: a few lanes; 1544: one piece more than whole warps; 896, 1536, 3584: Qwen2's
// 0.5B, 1.5B and 7B; 8192: the widest. Token counts on both sides of where the
// kernel for many rows takes over, and not multiples of a block's rows.
TEST(RmsNorm, EqualsDoublePrecisionToOneRounding) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  for (DType dtype : kTypes) {
    for (int hidden_size : {16, 896, 1536, 1544, 3584, 8192}) {
      for (int num_tokens : {1, 3, 1539}) {
        ExpectNorm({dtype, num_tokens, hidden_size}, num_tokens, {});
      }
    }
  }
}

TEST(RmsNorm, GathersRowsAndGivesZerosForPadding) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  for (DType dtype : kTypes) {
    ExpectNorm({dtype, 4, 1536}, 9, {8, -1, 3, 3});
    std::vector<int32_t> many;
    for (int t = 0; t < 1539; ++t) many.push_back(t % 11 == 0 ? -1 : 2 * t % 37);
    ExpectNorm({dtype, 1539, 1536}, 37, many);
  }
}

TEST(RmsNorm, AZeroRowStaysZero) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  DeviceNumbers x(std::vector<float>(64, 0), DType::kFloat16);
  DeviceNumbers weight(std::vector<float>(64, 2), DType::kFloat16);
  RmsNormArgs args = {.dtype = DType::kFloat16,
                      .x = x.data(),
                      .weight = weight.data(),
                      .out = x.data(),
                      .num_tokens = 1,
                      .hidden_size = 64,
                      .epsilon = kEpsilon};
  ASSERT_EQ(RmsNorm(args, nullptr), cudaSuccess);
  EXPECT_EQ(x.Read(), std::vector<float>(64, 0));
}

TEST(RmsNorm, RefusesSizesThatDoNotFit) {
  EXPECT_EQ(RmsNorm({.num_tokens = 1, .hidden_size = 12}, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(RmsNorm({.num_tokens = 1, .hidden_size = kMaxNormBytes / 2 + 8}, nullptr),
            cudaErrorInvalidValue);
  EXPECT_EQ(RmsNorm({.num_tokens = 0, .hidden_size = 16}, nullptr), cudaSuccess);
}

}  // namespace
}  // namespace weft::worker::ops::cuda
