#include <cuda_fp8.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {
namespace {

struct Numbers {
  DType dtype;
  KvFormat format;
  int head_dim;
};

struct Heads {
  int num_heads;
  int num_kv_heads;
};

// How one element of a head's key or value lies in the pool, spelled out apart from
// KvTile's code.
struct Layout {
  int head_dim;
  int element_bytes;

  int ElementOffset(bool is_value, int token, int d) const {
    const int row_bytes = head_dim * element_bytes;
    const int chunk = d * element_bytes / 16;
    const int in_chunk = d * element_bytes % 16;
    const int rows = is_value ? 16 * row_bytes : 0;
    if (row_bytes == 64) return rows + token * 64 + (chunk ^ (token / 2 % 4)) * 16 + in_chunk;
    return rows + chunk / 8 * 2048 + token * 128 + ((chunk % 8) ^ (token % 8)) * 16 + in_chunk;
  }
  int ScaleOffset(bool is_value, int token) const {
    return 32 * head_dim + (is_value ? 64 : 0) + token * 4;
  }
};

// One layer's attention for a step of decode rows, on the device and in double on the
// host. The pool is NaN except where rows' earlier tokens lie, their blocks in random
// order.
class Step {
 public:
  Step(Numbers numbers, Heads heads, std::vector<int> positions, int seed)
      : numbers_(numbers),
        shape_{heads.num_heads, heads.num_kv_heads, numbers.head_dim},
        layout_{numbers.head_dim,
                numbers.format == KvFormat::kFp8 ? 1 : static_cast<int>(BytesOf(numbers.dtype))},
        positions_(std::move(positions)),
        random_(seed) {
    PlaceRows();
    FillPool();
    qkv_ = RandomNumbers(positions_.size() * VectorsPerToken() * shape_.head_dim, numbers_.dtype,
                         random_, 2);
  }

  // What a step leaves behind.
  struct Result {
    std::vector<float> out;
    std::vector<uint8_t> pool;
  };

  Result Decode(const DeviceFeatures& device, int num_times = 1) const {
    EXPECT_EQ(PrepareDecodeAttention(device), cudaSuccess);
    const size_t bytes =
        AttentionWorkspaceBytes(shape_, static_cast<int>(positions_.size()), device);
    DeviceValues<uint8_t> workspace(std::vector<uint8_t>(bytes, 0));
    return Run([&](AttentionArgs& args) {
      args.workspace = workspace.data();
      for (int i = 0; i < num_times; ++i) {
        EXPECT_EQ(DecodeAttention(args, device, nullptr), cudaSuccess);
      }
    });
  }

  Result Reference() const {
    return Run([&](AttentionArgs& args) {
      const int num_rows = static_cast<int>(positions_.size());
      EXPECT_EQ(ReferenceAttention(args, num_rows, num_rows, nullptr), cudaSuccess);
    });
  }

  // New keys and values are the rotated ones, within `error` of a row's largest.
  void ExpectStored(const Result& result, double error) const {
    for (size_t row = 0; row < positions_.size(); ++row) {
      for (int head = 0; positions_[row] >= 0 && head < shape_.num_kv_heads; ++head) {
        for (const bool is_value : {false, true}) {
          const int vector = shape_.num_heads + (is_value ? shape_.num_kv_heads : 0) + head;
          std::vector<float> expected = Vector(row, vector);
          if (!is_value) RotateOnHost(row, expected);
          double largest = 0;
          for (float x : expected) largest = std::max(largest, std::abs(double{x}));
          for (int d = 0; d < shape_.head_dim; ++d) {
            ASSERT_NEAR(Stored(result.pool, row, positions_[row], head, is_value, d), expected[d],
                        largest * error)
                << "row " << row << " head " << head << " value " << is_value << " d " << d;
          }
        }
      }
    }
  }

  // Outputs are those of the keys and values found in the result's pool, within
  // `error` of the weighted magnitudes; padded rows' are as before.
  void ExpectAttended(const Result& result, double error) const {
    for (size_t row = 0; row < positions_.size(); ++row) {
      for (int head = 0; head < shape_.num_heads; ++head) {
        ASSERT_NO_FATAL_FAILURE(ExpectHeadAttended(result, row, head, error))
            << "row " << row << " at " << positions_[row] << ", head " << head;
      }
    }
  }

 private:
  static constexpr float kUntouched = 7;

  int VectorsPerToken() const { return shape_.num_heads + 2 * shape_.num_kv_heads; }
  size_t TileBytes() const { return KvTileBytes(layout_.head_dim, layout_.element_bytes); }

  void PlaceRows() {
    for (int position : positions_) {
      block_starts_.push_back(static_cast<int>(blocks_.size()));
      row_starts_.push_back(static_cast<int>(row_starts_.size()));
      sums_.push_back(static_cast<int>(blocks_.size()));
      const int num_blocks = position < 0 ? 0 : position / kTileTokens + 1;
      blocks_.resize(blocks_.size() + num_blocks);
      for (int d = 0; d < shape_.head_dim / 2; ++d) {
        const double angle = position * std::pow(10000.0, -2.0 * d / shape_.head_dim);
        cos_.push_back(static_cast<float>(std::cos(angle)));
        sin_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
    row_starts_.push_back(static_cast<int>(row_starts_.size()));
    sums_.push_back(static_cast<int>(blocks_.size()));
    std::iota(blocks_.begin(), blocks_.end(), 1);  // block 0: nobody's
    std::shuffle(blocks_.begin(), blocks_.end(), random_);
  }

  void FillPool() {
    pool_.assign((blocks_.size() + 1) * shape_.num_kv_heads * TileBytes(), 0xff);
    std::normal_distribution<float> normal;
    for (size_t row = 0; row < positions_.size(); ++row) {
      for (int position = 0; position < positions_[row]; ++position) {
        for (int head = 0; head < shape_.num_kv_heads; ++head) {
          for (const bool is_value : {false, true}) FillVector(row, position, head, is_value);
        }
      }
    }
  }

  void FillVector(int row, int position, int head, bool is_value) {
    std::normal_distribution<float> normal;
    uint8_t* tile = pool_.data() + TileOffset(row, position, head);
    const int token = position % kTileTokens;
    for (int d = 0; d < shape_.head_dim; ++d) {
      uint8_t* at = tile + layout_.ElementOffset(is_value, token, d);
      const float x = normal(random_);
      if (layout_.element_bytes == 1) {
        *at = __nv_cvt_float_to_fp8(x * 100, __NV_SATFINITE, __NV_E4M3);
      } else if (numbers_.dtype == DType::kFloat32) {
        std::memcpy(at, &x, 4);
      } else if (numbers_.dtype == DType::kFloat16) {
        const __half half(x);
        std::memcpy(at, &half, 2);
      } else {
        const __nv_bfloat16 half(x);
        std::memcpy(at, &half, 2);
      }
    }
    const float scale = 0.01f * std::exp(0.5f * normal(random_));
    if (layout_.element_bytes == 1) {
      std::memcpy(tile + layout_.ScaleOffset(is_value, token), &scale, 4);
    }
  }

  size_t TileOffset(int row, int position, int head) const {
    const int block = blocks_[block_starts_[row] + position / kTileTokens];
    return (size_t{1} * block * shape_.num_kv_heads + head) * TileBytes();
  }

  double Stored(const std::vector<uint8_t>& pool, int row, int position, int head, bool is_value,
                int d) const {
    const uint8_t* tile = pool.data() + TileOffset(row, position, head);
    const int token = position % kTileTokens;
    const uint8_t* at = tile + layout_.ElementOffset(is_value, token, d);
    if (layout_.element_bytes == 1) {
      float scale;
      std::memcpy(&scale, tile + layout_.ScaleOffset(is_value, token), 4);
      return double{scale} * __half2float(__half(__nv_cvt_fp8_to_halfraw(*at, __NV_E4M3)));
    }
    if (numbers_.dtype == DType::kFloat32) return *reinterpret_cast<const float*>(at);
    if (numbers_.dtype == DType::kFloat16) {
      return __half2float(*reinterpret_cast<const __half*>(at));
    }
    return __bfloat162float(*reinterpret_cast<const __nv_bfloat16*>(at));
  }

  std::vector<float> Vector(int row, int vector) const {
    const auto begin = qkv_.begin() + (row * VectorsPerToken() + vector) * shape_.head_dim;
    return std::vector<float>(begin, begin + shape_.head_dim);
  }

  void RotateOnHost(int row, std::vector<float>& x) const {
    const int half = shape_.head_dim / 2;
    for (int d = 0; d < half; ++d) {
      const float cos = cos_[row * half + d], sin = sin_[row * half + d];
      const float low = x[d], high = x[half + d];
      x[d] = Rounded(std::fma(-high, sin, low * cos), numbers_.dtype);
      x[half + d] = Rounded(std::fma(low, sin, high * cos), numbers_.dtype);
    }
  }

  template <class Launch>
  Result Run(Launch launch) const {
    DeviceNumbers qkv(qkv_, numbers_.dtype);
    DeviceNumbers out(
        std::vector<float>(positions_.size() * shape_.num_heads * shape_.head_dim, kUntouched),
        numbers_.dtype);
    DeviceValues<float> cos(cos_), sin(sin_);
    DeviceValues<int32_t> positions(positions_), row_starts(row_starts_);
    DeviceValues<int32_t> block_starts(block_starts_), blocks(blocks_), sums(sums_);
    DeviceValues<uint8_t> pool(pool_);
    AttentionArgs args;
    args.shape = shape_;
    args.dtype = numbers_.dtype;
    args.kv_format = numbers_.format;
    args.qkv = qkv.data();
    args.out = out.data();
    args.cos = cos.data();
    args.sin = sin.data();
    args.positions = positions.data();
    args.row_starts = row_starts.data();
    args.block_starts = block_starts.data();
    args.blocks = blocks.data();
    args.decode_block_sums = sums.data();
    args.kv = pool.data();
    args.num_decode_rows = static_cast<int>(positions_.size());
    launch(args);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    return {out.Read(), pool.Read()};
  }

  void ExpectHeadAttended(const Result& result, int row, int head, double error) const {
    const float* got = &result.out[(size_t{1} * row * shape_.num_heads + head) * shape_.head_dim];
    if (positions_[row] < 0) {
      for (int d = 0; d < shape_.head_dim; ++d) ASSERT_EQ(got[d], kUntouched);
      return;
    }
    const int kv_head = head / (shape_.num_heads / shape_.num_kv_heads);
    std::vector<float> query = Vector(row, head);
    RotateOnHost(row, query);
    std::vector<double> weights(positions_[row] + 1);
    for (int p = 0; p <= positions_[row]; ++p) {
      for (int d = 0; d < shape_.head_dim; ++d) {
        weights[p] += query[d] * Stored(result.pool, row, p, kv_head, false, d);
      }
      weights[p] /= std::sqrt(shape_.head_dim);
    }
    const double max = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights) sum += weight = std::exp(weight - max);
    for (int d = 0; d < shape_.head_dim; ++d) {
      double expected = 0, magnitude = 0;
      for (int p = 0; p <= positions_[row]; ++p) {
        const double term = weights[p] / sum * Stored(result.pool, row, p, kv_head, true, d);
        expected += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(got[d], expected, magnitude * error) << "d " << d;
    }
  }

  const Numbers numbers_;
  const AttentionShape shape_;
  const Layout layout_;
  const std::vector<int32_t> positions_;
  std::mt19937 random_;
  std::vector<int32_t> row_starts_, block_starts_, blocks_, sums_;
  std::vector<float> cos_, sin_, qkv_;
  std::vector<uint8_t> pool_;
};

// An e4m3 has three bits behind the leading one; the row's largest is exact.
double StoreError(const Numbers& numbers) { return numbers.format == KvFormat::kFp8 ? 0x1p-4 : 0; }

// Weights and output are rounded once each; scores in fp32 add a little.
double AttendError(const Numbers& numbers) { return 2.5 * RoundingOf(numbers.dtype) + 3e-5; }

void ExpectAllAgree(const Step& step, const Numbers& numbers) {
  const Step::Result reference = step.Reference();
  ASSERT_NO_FATAL_FAILURE(step.ExpectStored(reference, StoreError(numbers)));
  ASSERT_NO_FATAL_FAILURE(step.ExpectAttended(reference, AttendError(numbers)));
  // 1: long ranges of many items; 7: cuts at odd places; the device's: short ranges.
  // 99 KiB: all that a block has of newer cards but the largest.
  const DeviceFeatures device = CurrentDevice();
  for (const auto& [num_sms, shared_bytes] :
       {std::pair(1, device.shared_bytes), std::pair(7, device.shared_bytes),
        std::pair(device.num_sms, device.shared_bytes), std::pair(device.num_sms, 99 << 10)}) {
    SCOPED_TRACE("as on " + std::to_string(num_sms) + " SMs of " + std::to_string(shared_bytes));
    DeviceFeatures as_on = device;
    as_on.num_sms = num_sms;
    as_on.shared_bytes = shared_bytes;
    const Step::Result decoded = step.Decode(as_on);
    ASSERT_TRUE(decoded.pool == reference.pool) << "wrote other keys and values";
    ASSERT_NO_FATAL_FAILURE(step.ExpectAttended(decoded, AttendError(numbers)));
  }
}

class DecodeAttentionTest : public ::testing::TestWithParam<Numbers> {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
    if (!CurrentDevice().has_warp_products()) GTEST_SKIP() << "needs sm_80";
  }
  void ExpectAgreement(Heads heads, std::vector<int> positions) {
    ExpectAllAgree(Step(GetParam(), heads, std::move(positions), 1), GetParam());
  }
};

TEST_P(DecodeAttentionTest, RowsOfAnyLengthMeetTheirContext) {
  ExpectAgreement({12, 2}, {0, 15, 16, 17, 31, 100, -1, 511, 640, 1151, 5});
}

TEST_P(DecodeAttentionTest, OneLongRowIsSplitOverTheDevice) { ExpectAgreement({12, 2}, {2000}); }

TEST_P(DecodeAttentionTest, QueryHeadsNeedNotFillATile) {
  ExpectAgreement({4, 4}, {70, 300, 9});
  ExpectAgreement({14, 2}, {70, 300, 9});
}

TEST_P(DecodeAttentionTest, ManyQueryHeadsShareAKvHead) {
  ExpectAgreement({16, 1}, {33, 1000, 0});
  ExpectAgreement({24, 2}, {33, 500, 47});
}

TEST_P(DecodeAttentionTest, PaddedRowsAreLeftAlone) {
  ExpectAgreement({12, 2}, {-1, -1, -1});
  ExpectAgreement({12, 2}, {-1, 40, -1, -1, 3, -1});
}

TEST_P(DecodeAttentionTest, RowsHaveCtasByTheirLength) {
  ExpectAgreement({12, 2}, std::vector<int>(8, 519));
  std::vector<int> positions(32, 40);
  positions[5] = 1500;
  positions[20] = -1;
  positions[31] = 700;
  ExpectAgreement({12, 2}, positions);
  positions.push_back(90);  // one more than have their own
  ExpectAgreement({12, 2}, positions);
}

TEST_P(DecodeAttentionTest, ThousandRows) {
  std::mt19937 random(7);
  std::vector<int> positions(1100);
  for (int& position : positions) position = static_cast<int>(random() % 50) - 1;
  ExpectAgreement({2, 1}, positions);
}

// The workspace is as before after each launch, and who comes last does not matter.
TEST_P(DecodeAttentionTest, RunsAgainWithTheSameResult) {
  const Step step(GetParam(), {12, 2}, {900, 3, 200, 1500}, 3);
  const Step::Result once = step.Decode(CurrentDevice());
  const Step::Result often = step.Decode(CurrentDevice(), 50);
  EXPECT_TRUE(once.out == often.out);
  EXPECT_TRUE(once.pool == often.pool);
}

INSTANTIATE_TEST_SUITE_P(Numbers, DecodeAttentionTest,
                         ::testing::Values(Numbers{DType::kBFloat16, KvFormat::kSameAsModel, 128},
                                           Numbers{DType::kBFloat16, KvFormat::kSameAsModel, 64},
                                           Numbers{DType::kBFloat16, KvFormat::kFp8, 128},
                                           Numbers{DType::kBFloat16, KvFormat::kFp8, 64},
                                           Numbers{DType::kFloat16, KvFormat::kSameAsModel, 128},
                                           Numbers{DType::kFloat16, KvFormat::kSameAsModel, 64},
                                           Numbers{DType::kFloat16, KvFormat::kFp8, 128},
                                           Numbers{DType::kFloat16, KvFormat::kFp8, 64}),
                         [](const auto& info) {
                           const Numbers& numbers = info.param;
                           return std::string(NameOf(numbers.dtype)) +
                                  (numbers.format == KvFormat::kFp8 ? "_fp8_" : "_") +
                                  std::to_string(numbers.head_dim);
                         });

TEST(ReferenceAttention, Fp32EqualsTheHost) {
  if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
  for (const int head_dim : {64, 128}) {
    const Numbers numbers{DType::kFloat32, KvFormat::kSameAsModel, head_dim};
    const Step step(numbers, {12, 2}, {0, 15, 16, -1, 700}, 5);
    const Step::Result reference = step.Reference();
    step.ExpectStored(reference, 0);
    step.ExpectAttended(reference, AttendError(numbers));
  }
}

}  // namespace
}  // namespace weft::worker::ops::cuda
