#include "worker/ops/cuda/rms_norm.h"

#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace weft::worker::ops::cuda {
namespace {

bool HasGpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

// Device memory that holds a copy of host values.
class Buffer {
 public:
  explicit Buffer(const std::vector<float>& values) : size_(values.size()) {
    std::vector<__nv_bfloat16> rounded;
    for (float value : values) rounded.push_back(__float2bfloat16(value));
    EXPECT_EQ(cudaMalloc(&data_, size_ * sizeof *data_), cudaSuccess);
    cudaMemcpy(data_, rounded.data(), size_ * sizeof *data_, cudaMemcpyHostToDevice);
  }
  ~Buffer() { cudaFree(data_); }
  std::vector<float> Read() const {
    std::vector<__nv_bfloat16> rounded(size_);
    cudaMemcpy(rounded.data(), data_, size_ * sizeof *data_, cudaMemcpyDeviceToHost);
    std::vector<float> values;
    for (__nv_bfloat16 value : rounded) values.push_back(__bfloat162float(value));
    return values;
  }
  __nv_bfloat16* data() { return data_; }

 private:
  size_t size_;
  __nv_bfloat16* data_ = nullptr;
};

float Round(float value) { return __bfloat162float(__float2bfloat16(value)); }

class AddRmsNormTest : public ::testing::TestWithParam<NormDims> {};

TEST_P(AddRmsNormTest, EqualsTheReferenceToBf16Rounding) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  const auto [num_tokens, hidden_size] = GetParam();
  std::mt19937 random(num_tokens * 31 + hidden_size);
  std::normal_distribution<float> normal;
  std::vector<float> x(num_tokens * hidden_size), residual(x.size()), weight(hidden_size);
  for (auto* values : {&x, &residual, &weight}) {
    for (float& value : *values) value = Round(normal(random));
  }
  Buffer device_x(x), device_residual(residual), device_weight(weight), device_out(x);
  ASSERT_EQ(AddRmsNorm(device_x.data(), device_residual.data(), device_weight.data(),
                       device_out.data(), GetParam(), 1e-6f, nullptr),
            cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const std::vector<float> out = device_out.Read(), sums = device_residual.Read();
  for (int t = 0; t < num_tokens; ++t) {
    double squares = 0;
    for (int h = 0; h < hidden_size; ++h) {
      const double sum = x[t * hidden_size + h] + residual[t * hidden_size + h];
      squares += sum * sum;
    }
    const double scale = 1 / std::sqrt(squares / hidden_size + 1e-6);
    for (int h = 0; h < hidden_size; ++h) {
      const int i = t * hidden_size + h;
      const float sum = x[i] + residual[i];
      const double expected = sum * scale * weight[h];
      ASSERT_EQ(sums[i], Round(sum)) << "t=" << t << " h=" << h;
      ASSERT_NEAR(out[i], expected, std::abs(expected) / 128 + 1e-6) << "t=" << t << " h=" << h;
    }
  }
}

// 8: one vector; 2056: one vector more than a block's stride; the others are
// Qwen2's 0.5B, 1.5B and 7B.
INSTANTIATE_TEST_SUITE_P(Shapes, AddRmsNormTest,
                         ::testing::Values(NormDims{1, 8}, NormDims{3, 2056}, NormDims{5, 896},
                                           NormDims{64, 1536}, NormDims{2, 3584}));

}  // namespace
}  // namespace weft::worker::ops::cuda
