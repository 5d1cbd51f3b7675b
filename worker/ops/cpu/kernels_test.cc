// Every kernel of every instruction set this machine has, against plain loops in
// double.
#include "worker/ops/cpu/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace weft::worker::ops::cpu {
namespace {

BF16 Round(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
double Value(float x) { return x; }
double Value(BF16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }
void Set(float& to, double x) { to = static_cast<float>(x); }
void Set(BF16& to, double x) { to = Round(static_cast<float>(x)); }

// What rounding the output alone may cost, and fp32 sums a little more.
template <class T>
constexpr double kTolerance = std::is_same_v<T, float> ? 2e-6 : 4.1e-3;

template <class T>
const KernelSet& Of(const Kernels& kernels) {
  if constexpr (std::is_same_v<T, float>) return kernels.f32;
  return kernels.bf16;
}

template <class T>
class KernelTest : public ::testing::Test {
 protected:
  std::vector<T> Random(size_t count, double scale = 1) {
    std::uniform_real_distribution<double> uniform(-scale, scale);
    std::vector<T> values(count);
    for (T& value : values) Set(value, uniform(random_));
    return values;
  }

  static void ExpectNear(double got, double wanted, double scale, const char* isa) {
    ASSERT_NEAR(got, wanted, kTolerance<T> * std::max(scale, std::abs(wanted))) << isa;
  }

  std::mt19937 random_{12345};
};

using Types = ::testing::Types<float, BF16>;
TYPED_TEST_SUITE(KernelTest, Types);

TYPED_TEST(KernelTest, GemmEqualsDotProducts) {
  using T = TypeParam;
  struct Shape {
    int64_t m, n, k;
  };
  for (const auto [m, n, k] :
       {Shape{1, 1, 1}, {1, 70, 64}, {3, 5, 33}, {9, 67, 80}, {35, 50, 70}, {5, 130, 4099}}) {
    const auto x = this->Random(m * k), w = this->Random(n * k), bias = this->Random(n);
    for (const Kernels* kernels : AvailableKernels()) {
      for (const T* b : {bias.data(), static_cast<const T*>(nullptr)}) {
        std::vector<T> out(m * n);
        std::vector<float> wide(m * n);
        const GemmArgs args = {x.data(), w.data(), b, out.data(), m, n, k};
        GemmArgs wide_args = args;
        wide_args.out = wide.data();
        // In two parts, as two threads would.
        const int64_t cut = n / 3;
        Of<T>(*kernels).gemm(args, 0, cut);
        Of<T>(*kernels).gemm(args, cut, n);
        Of<T>(*kernels).gemm_f32(wide_args, 0, n);
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double sum = b == nullptr ? 0 : Value(b[j]);
            for (int64_t d = 0; d < k; ++d) sum += Value(x[i * k + d]) * Value(w[j * k + d]);
            const double scale = std::sqrt(k);
            this->ExpectNear(Value(out[i * n + j]), sum, scale, kernels->isa);
            ASSERT_NEAR(wide[i * n + j], sum, 2e-6 * scale * 4) << kernels->isa;
          }
        }
      }
    }
  }
}

// To the bit: a row of a batch is the row alone, and a column does not know how
// columns were cut.
TYPED_TEST(KernelTest, GemmRowsDoNotDependOnTheBatch) {
  using T = TypeParam;
  const int64_t n = 75, k = 2500;
  for (const int64_t m : {3, 11, 45}) {
    const auto x = this->Random(m * k), w = this->Random(n * k);
    for (const Kernels* kernels : AvailableKernels()) {
      std::vector<float> whole(m * n), alone(n);
      Of<T>(*kernels).gemm_f32({x.data(), w.data(), nullptr, whole.data(), m, n, k}, 0, n);
      for (int64_t row = 0; row < m; ++row) {
        const GemmArgs args = {x.data() + row * k, w.data(), nullptr, alone.data(), 1, n, k};
        for (int64_t j = 0; j < n; j += 7) {
          Of<T>(*kernels).gemm_f32(args, j, std::min(n, j + 7));
        }
        ASSERT_EQ(std::memcmp(alone.data(), whole.data() + row * n, n * sizeof(float)), 0)
            << kernels->isa << " row " << row;
      }
    }
  }
}

TYPED_TEST(KernelTest, NormDividesByTheRootOfTheMeanSquare) {
  using T = TypeParam;
  for (const int64_t hidden : {16, 50, 96}) {
    const int64_t tokens = 3;
    const auto x = this->Random(tokens * hidden), weight = this->Random(hidden, 2);
    for (const Kernels* kernels : AvailableKernels()) {
      std::vector<T> out(tokens * hidden);
      Of<T>(*kernels).rms_norm({x.data(), weight.data(), out.data(), hidden, 1e-5f}, 0, tokens);
      for (int64_t t = 0; t < tokens; ++t) {
        double squares = 0;
        const auto at = [&](int64_t i) { return Value(x[t * hidden + i]); };
        for (int64_t i = 0; i < hidden; ++i) squares += at(i) * at(i);
        const double scale = 1 / std::sqrt(squares / hidden + 1e-5);
        for (int64_t i = 0; i < hidden; ++i) {
          this->ExpectNear(Value(out[t * hidden + i]), at(i) * scale * Value(weight[i]), 1e-2,
                           kernels->isa);
        }
      }
    }
  }
}

TYPED_TEST(KernelTest, AddHoldsForAnySize) {
  using T = TypeParam;
  const auto delta = this->Random(53), before = this->Random(53);
  for (const Kernels* kernels : AvailableKernels()) {
    auto out = before;
    Of<T>(*kernels).add({delta.data(), out.data()}, 1, 52);
    EXPECT_EQ(Value(out[0]), Value(before[0]));
    EXPECT_EQ(Value(out[52]), Value(before[52]));
    for (int i = 1; i < 52; ++i) {
      this->ExpectNear(Value(out[i]), Value(before[i]) + Value(delta[i]), 1e-3, kernels->isa);
    }
  }
}

TYPED_TEST(KernelTest, NormOfZerosIsZero) {
  using T = TypeParam;
  for (const Kernels* kernels : AvailableKernels()) {
    std::vector<T> zero(32), weight(32), out(32);
    for (T& w : weight) Set(w, 1);
    Of<T>(*kernels).rms_norm({zero.data(), weight.data(), out.data(), 32, 1e-6f}, 0, 1);
    for (const T& x : out) EXPECT_EQ(Value(x), 0);
  }
}

TYPED_TEST(KernelTest, SiluMulHoldsForAnySize) {
  using T = TypeParam;
  const int64_t intermediate = 37;
  auto gate_up = this->Random(2 * intermediate, 20);
  Set(gate_up[0], -1e30);  // 0, not NaN
  Set(gate_up[1], 1e4);
  Set(gate_up[intermediate - 1], -200);
  for (const Kernels* kernels : AvailableKernels()) {
    std::vector<T> out(intermediate);
    Of<T>(*kernels).silu_mul({gate_up.data(), out.data(), intermediate}, 0, 1);
    for (int64_t i = 0; i < intermediate; ++i) {
      const double x = Value(gate_up[i]);
      this->ExpectNear(Value(out[i]), x / (1 + std::exp(-x)) * Value(gate_up[intermediate + i]),
                       1e-5, kernels->isa);
    }
  }
}

// Rope, KV write and attention together: a row of several tokens behind some that
// are in the cache, in blocks out of order, against softmax written out.
TYPED_TEST(KernelTest, AttentionOverPagesEqualsSoftmaxWrittenOut) {
  using T = TypeParam;
  struct Case {
    HeadDims dims;
    int cached, fresh;
  };
  for (const auto [dims, cached, fresh] :
       {Case{{6, 1, 64}, 0, 5}, {{12, 2, 128}, 37, 3}, {{3, 3, 16}, 15, 2}, {{4, 2, 80}, 16, 1}}) {
    const int total = cached + fresh, half = dims.head_dim / 2;
    const int group = dims.num_heads / dims.num_kv_heads;
    const int stride = (dims.num_heads + 2 * dims.num_kv_heads) * dims.head_dim;
    const auto qkv = this->Random(size_t{1} * total * stride);
    std::vector<float> cos(total * half), sin(total * half);
    for (int i = 0; i < total * half; ++i) {
      cos[i] = std::cos(0.37f * i);
      sin[i] = std::sin(0.37f * i);
    }
    const std::vector<int32_t> blocks = {5, 2, 7, 0};
    std::vector<int32_t> slots;
    for (int p = 0; p < total; ++p) slots.push_back(blocks[p / 16] * 16 + p % 16);

    // The reference: rotated in double, stored in T.
    const auto rotated = [&](int t, int head, int d) {
      const auto at = [&](int i) { return Value(qkv[t * stride + head * dims.head_dim + i]); };
      const int i = d % half;
      const double c = cos[t * half + i], s = sin[t * half + i];
      T stored;
      Set(stored, d < half ? at(i) * c - at(half + i) * s : at(half + i) * c + at(i) * s);
      return Value(stored);
    };
    const auto value = [&](int t, int kv_head, int d) {
      return Value(
          qkv[t * stride + (dims.num_heads + dims.num_kv_heads + kv_head) * dims.head_dim + d]);
    };

    for (const Kernels* kernels : AvailableKernels()) {
      T nan;
      Set(nan, 0);
      std::memset(&nan, 0xff, sizeof(T));
      std::vector<T> keys(8 * dims.num_kv_heads * 16 * dims.head_dim, nan), values = keys;
      auto work = qkv;
      const KvPointers kv = {keys.data(), values.data()};
      Of<T>(*kernels).rope_and_store({work.data(), cos.data(), sin.data(), slots.data(), kv, dims},
                                     0, total);
      std::vector<T> out(size_t{1} * total * dims.num_heads * dims.head_dim);
      for (int head = 0; head < dims.num_kv_heads; ++head) {
        Of<T>(*kernels).attend({work.data(), kv, out.data(), dims}, {.blocks = blocks.data(),
                                                                     .first_token = cached,
                                                                     .num_tokens = fresh,
                                                                     .first_position = cached,
                                                                     .kv_head = head});
      }
      for (int t = cached; t < total; ++t) {
        for (int h = 0; h < dims.num_heads; ++h) {
          const int kv_head = h / group;
          std::vector<double> weights(t + 1);
          double sum = 0;
          for (int s = 0; s <= t; ++s) {
            double dot = 0;
            for (int d = 0; d < dims.head_dim; ++d) {
              dot += rotated(t, h, d) * rotated(s, dims.num_heads + kv_head, d);
            }
            weights[s] = std::exp(dot / std::sqrt(dims.head_dim));
            sum += weights[s];
          }
          for (int d = 0; d < dims.head_dim; ++d) {
            double wanted = 0;
            for (int s = 0; s <= t; ++s) wanted += weights[s] / sum * value(s, kv_head, d);
            this->ExpectNear(Value(out[(t * dims.num_heads + h) * dims.head_dim + d]), wanted, 0.5,
                             kernels->isa);
          }
        }
      }
    }
  }
}

TEST(Kernels, TheBaselineIsAlwaysThere) {
  EXPECT_STREQ(AvailableKernels().back()->isa, "baseline");
}

}  // namespace
}  // namespace weft::worker::ops::cpu
