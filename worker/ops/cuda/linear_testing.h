// For tests of linear.h's products: a random one on the device, held to sums in double of
// the rounded inputs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "worker/ops/cuda/linear.h"
#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {

struct LinearCase {
  int num_tokens, n, k;
};

inline std::string NameOf(const ::testing::TestParamInfo<LinearCase>& info) {
  std::string name("T");
  name += std::to_string(info.param.num_tokens);
  name += 'N';
  name += std::to_string(info.param.n);
  name += 'K';
  name += std::to_string(info.param.k);
  return name;
}

class LinearProblem {
 public:
  LinearProblem(const LinearCase& shape, DType dtype, Epilogue epilogue, bool norm)
      : shape_(shape),
        dtype_(dtype),
        epilogue_(epilogue),
        norm_(norm),
        random_(shape.num_tokens * 7919 + shape.n * 31 + shape.k),
        x_(Numbers(int64_t{shape.num_tokens} * shape.k, 1)),
        norm_weight_(Numbers(shape.k, 1)),
        weight_(Numbers(int64_t{epilogue == Epilogue::kSiluMul ? 2 * shape.n : shape.n} * shape.k,
                        1 / std::sqrt(static_cast<float>(shape.k)))),
        bias_(Numbers(shape.n, 1)),
        before_(Numbers(int64_t{shape.num_tokens} * shape.n, 1)),
        d_x_(x_, dtype),
        d_norm_(norm_weight_, dtype),
        d_weight_(weight_, dtype),
        d_bias_(bias_, dtype),
        d_out_(before_, epilogue == Epilogue::kFloat ? DType::kFloat32 : dtype) {}

  LinearArgs args() const {
    LinearArgs args = {.dtype = dtype_,
                       .epilogue = epilogue_,
                       .num_tokens = shape_.num_tokens,
                       .n = shape_.n,
                       .k = shape_.k,
                       .x = d_x_.data(),
                       .weight = d_weight_.data(),
                       .out = d_out_.data()};
    if (norm_) {
      args.norm_weight = d_norm_.data();
      args.epsilon = 1e-6f;
    }
    if (epilogue_ == Epilogue::kStore) args.bias = d_bias_.data();
    return args;
  }

  // Once, behind the product.
  void Check() const {
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    const std::vector<float> got = d_out_.Read();
    const int n = shape_.n, k = shape_.k;
    std::vector<double> row(k);
    for (int t = 0; t < shape_.num_tokens; ++t) {
      double squares = 0;
      for (int i = 0; i < k; ++i) squares += std::pow(x_[int64_t{t} * k + i], 2);
      const double scale = 1 / std::sqrt(squares / k + 1e-6);
      for (int i = 0; i < k; ++i) {
        row[i] = x_[int64_t{t} * k + i] * (norm_ ? scale * norm_weight_[i] : 1);
      }
      const auto dot = [&](int64_t r) {
        double sum = 0;
        for (int i = 0; i < k; ++i) sum += row[i] * weight_[r * k + i];
        return sum;
      };
      for (int c = 0; c < n; ++c) {
        double want = dot(c), slope = 1;
        if (epilogue_ == Epilogue::kStore) want += bias_[c];
        if (epilogue_ == Epilogue::kAdd) want += before_[int64_t{t} * n + c];
        if (epilogue_ == Epilogue::kSiluMul) {
          const double silu = want / (1 + std::exp(-want)), up = dot(n + c);
          want = silu * up;
          slope = std::max(1.0, std::abs(silu) + std::abs(up));
        }
        // x * norm_weight is rounded: of K errors of some 1e-3 each, none of which the
        // weight lets weigh more than 1 / sqrt(K), the sum stays far below ten times that.
        ASSERT_NEAR(got[int64_t{t} * n + c], want,
                    std::abs(want) / 128 + slope * (norm_ ? 1.5e-2 : 2e-4))
            << "token " << t << " column " << c;
      }
    }
  }

 private:
  std::vector<float> Numbers(int64_t count, float deviation) {
    return RandomNumbers(count, dtype_, random_, deviation);
  }

  const LinearCase shape_;
  const DType dtype_;
  const Epilogue epilogue_;
  const bool norm_;
  std::mt19937 random_;
  const std::vector<float> x_, norm_weight_, weight_, bias_, before_;
  const DeviceNumbers d_x_, d_norm_, d_weight_, d_bias_, d_out_;
};

}  // namespace weft::worker::ops::cuda
