#include "worker/ops/cuda/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

TEST(Embedding, CopiesRowsAndGivesZerosForPadding) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  for (DType dtype : kTypes) {
    for (int hidden_size : {8, 1536, 2056}) {
      SCOPED_TRACE(::testing::Message() << NameOf(dtype) << " H=" << hidden_size);
      std::mt19937 random(hidden_size);
      const auto table = RandomNumbers(size_t(11) * hidden_size, dtype, random);
      std::vector<int32_t> ids = {10, -1, 0, 5, 5};
      for (int t = 0; t < 300; ++t) ids.push_back(t % 11);
      DeviceNumbers device_table(table, dtype);
      DeviceNumbers out(std::vector<float>(ids.size() * hidden_size, 7), dtype);
      DeviceValues<int32_t> device_ids(ids);
      ASSERT_EQ(Embedding({.dtype = dtype,
                           .table = device_table.data(),
                           .ids = device_ids.data(),
                           .out = out.data(),
                           .num_tokens = static_cast<int>(ids.size()),
                           .hidden_size = hidden_size},
                          nullptr),
                cudaSuccess);
      const std::vector<float> got = out.Read();
      for (size_t t = 0; t < ids.size(); ++t) {
        for (int h = 0; h < hidden_size; ++h) {
          const float expected = ids[t] < 0 ? 0 : table[size_t(ids[t]) * hidden_size + h];
          ASSERT_EQ(got[t * hidden_size + h], expected) << "t=" << t << " h=" << h;
        }
      }
    }
  }
}

void ExpectSiluMul(DType dtype, int num_tokens, int intermediate_size) {
  SCOPED_TRACE(::testing::Message()
               << NameOf(dtype) << " T=" << num_tokens << " I=" << intermediate_size);
  std::mt19937 random(num_tokens + intermediate_size);
  const size_t size = size_t(num_tokens) * intermediate_size;
  auto gate_up = RandomNumbers(2 * size, dtype, random, 4);
  gate_up[0] = Rounded(-200, dtype);  // exp overflows: the result is a zero
  gate_up[1] = Rounded(200, dtype);
  DeviceNumbers device_gate_up(gate_up, dtype), out(std::vector<float>(size, 7), dtype);
  ASSERT_EQ(SiluMul({.dtype = dtype,
                     .gate_up = device_gate_up.data(),
                     .out = out.data(),
                     .num_tokens = num_tokens,
                     .intermediate_size = intermediate_size},
                    nullptr),
            cudaSuccess);
  const std::vector<float> got = out.Read();
  for (int t = 0; t < num_tokens; ++t) {
    const float* gate = &gate_up[size_t(t) * 2 * intermediate_size];
    for (int i = 0; i < intermediate_size; ++i) {
      const double expected =
          gate[i] / (1 + std::exp(-double{gate[i]})) * gate[intermediate_size + i];
      const double relative = dtype == DType::kFloat32 ? 1e-6 : RoundingOf(dtype) + 1e-5;
      // 6e-8: half of fp16's smallest.
      ASSERT_NEAR(got[size_t(t) * intermediate_size + i], expected,
                  std::abs(expected) * relative + 6e-8)
          << "t=" << t << " i=" << i;
    }
  }
}

TEST(SiluMul, EqualsDoublePrecisionToOneRounding) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  for (DType dtype : kTypes) {
    ExpectSiluMul(dtype, 1, 8);
    ExpectSiluMul(dtype, 3, 2056);
    ExpectSiluMul(dtype, 70, 8960);
  }
}

TEST(RotaryAngles, AreAccurateAtAnyPosition) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  for (int head_dim : {64, 128}) {
    const int half = head_dim / 2;
    std::vector<float> inverse(half);
    for (int i = 0; i < half; ++i) {
      inverse[i] = 1.0f / std::pow(1e6f, static_cast<float>(2 * i) / static_cast<float>(head_dim));
    }
    // Large ones: beyond what simple range reduction carries.
    std::vector<int32_t> positions = {-1, 0, 1, 32767, 131071, 1 << 24};
    for (int t = 0; t < 100; ++t) positions.push_back(327 * t);
    const std::vector<float> untouched(positions.size() * half, 7);
    DeviceValues<float> device_inverse(inverse), cos(untouched), sin(untouched);
    DeviceValues<int32_t> device_positions(positions);
    ASSERT_EQ(RotaryAngles({.positions = device_positions.data(),
                            .inverse_frequencies = device_inverse.data(),
                            .cos = cos.data(),
                            .sin = sin.data(),
                            .num_tokens = static_cast<int>(positions.size()),
                            .head_dim = head_dim},
                           nullptr),
              cudaSuccess);
    const std::vector<float> got_cos = cos.Read(), got_sin = sin.Read();
    for (size_t t = 0; t < positions.size(); ++t) {
      for (int i = 0; i < half; ++i) {
        const float angle = static_cast<float>(std::max(positions[t], 0)) * inverse[i];
        ASSERT_NEAR(got_cos[t * half + i], std::cos(double{angle}), 2e-7) << positions[t];
        ASSERT_NEAR(got_sin[t * half + i], std::sin(double{angle}), 2e-7) << positions[t];
      }
    }
  }
}

TEST(Elementwise, RefusesSizesThatDoNotFit) {
  EXPECT_EQ(Embedding({.num_tokens = 1, .hidden_size = 12}, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(SiluMul({.num_tokens = 1, .intermediate_size = 12}, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(RotaryAngles({.num_tokens = 1, .head_dim = 12}, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(SiluMul({.num_tokens = 0}, nullptr), cudaSuccess);
}

}  // namespace
}  // namespace weft::worker::ops::cuda
