#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/numbers.cuh"
#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {

namespace {

// Decides how many blocks share a row's keys: eight, in the smallest cases.
constexpr int kNumSms = 132;

// A prompt's chunk: `num_new` tokens after `num_cached` ones.
struct Row {
  int num_cached;
  int num_new;
};

struct Setup {
  AttentionShape shape;
  std::vector<Row> rows;
  int num_decode_rows = 0;  // padding, whose tokens must be left alone
};

// One layer's attention for one step, on the device and in double on the host.
//
// The pool is NaN except where a row's tokens lie, its blocks in random order. The
// host attends to keys and values as it finds them in the pool after the step, and
// checks those by themselves.
template <class T, int kHeadDim, bool kFp8>
class Step {
 public:
  using Tile = KvTile<kHeadDim, kFp8 ? 1 : 2>;
  static constexpr DType kType = std::is_same_v<T, __half> ? DType::kFloat16 : DType::kBFloat16;

  explicit Step(const Setup& setup, int seed) : setup_(setup), random_(seed) {
    PlaceTokens();
    PlaceBlocks();
    FillPool();
    const auto& shape = setup.shape;
    vectors_ = shape.num_heads + 2 * shape.num_kv_heads;
    qkv_ = RandomNumbers(size_t(num_tokens_) * vectors_ * kHeadDim, kType, random_);
  }

  void Run() {
    before_ = pool_;
    const Results reference = RunKernels(/*reference=*/true);
    if (::testing::Test::HasFatalFailure()) return;
    const Results results = RunKernels(/*reference=*/false);
    if (::testing::Test::HasFatalFailure()) return;
    pool_ = results.pool;
    got_qkv_ = results.qkv;
    got_ = results.out;
    EXPECT_TRUE(results.pool == reference.pool);
    EXPECT_TRUE(results.qkv == reference.qkv);
    reference_ = reference.out;
  }

  // Queries and keys rotated, keys and values in their places, all else as it was.
  void ExpectStored() const {
    std::vector<uint8_t> expected = before_;
    for (size_t r = 0; r < setup_.rows.size(); ++r) {
      for (int i = 0; i < setup_.rows[r].num_new; ++i) ExpectTokenStored(r, i, expected);
    }
    EXPECT_TRUE(expected == pool_) << "wrote elsewhere";
  }

  // All tokens, as by ReferenceAttention.
  void ExpectAttendedAsReference() const {
    for (size_t start = 0; start < got_.size(); start += kHeadDim) {
      double squares = 0;
      for (int d = 0; d < kHeadDim; ++d) squares += std::pow(reference_[start + d], 2) / kHeadDim;
      for (int d = 0; d < kHeadDim; ++d) {
        const double tolerance = Tolerance(reference_[start + d], squares) +
                                 1.01 * RoundingOf(kType) * std::abs(reference_[start + d]);
        ASSERT_NEAR(got_[start + d], reference_[start + d], tolerance)
            << "vector " << start / kHeadDim << " d " << d;
      }
    }
  }

  // Of each row at most `num_checked` tokens, its first and last among them.
  void ExpectAttended(int num_checked) const {
    for (int i = 0; i < setup_.num_decode_rows * setup_.shape.num_heads * kHeadDim; ++i) {
      ASSERT_EQ(got_[i], 7);
    }
    for (size_t r = 0; r < setup_.rows.size(); ++r) {
      const int num_new = setup_.rows[r].num_new;
      const int count = std::min(num_new, num_checked);
      for (int i = 0; i < count; ++i) {
        const int token = count == 1 ? num_new - 1 : int64_t(num_new - 1) * i / (count - 1);
        for (int head = 0; head < setup_.shape.num_heads; ++head) {
          ASSERT_NO_FATAL_FAILURE(ExpectVectorAttended(r, token, head))
              << "row " << r << " token " << token << " head " << head;
        }
      }
    }
  }

 private:
  struct Results {
    std::vector<float> qkv, out;
    std::vector<uint8_t> pool;
  };

  Results RunKernels(bool reference) const {
    DeviceNumbers qkv(qkv_, kType);
    const size_t num_results = size_t(num_tokens_) * setup_.shape.num_heads * kHeadDim;
    DeviceNumbers out(std::vector<float>(num_results, 7), kType);
    DeviceValues<float> cos(cos_), sin(sin_);
    DeviceValues<int32_t> positions(positions_), row_starts(row_starts_);
    DeviceValues<int32_t> block_starts(block_starts_), blocks(blocks_);
    DeviceValues<uint8_t> pool(pool_);
    AttentionArgs args;
    args.shape = setup_.shape;
    args.dtype = kType;
    args.kv_format = kFp8 ? KvFormat::kFp8 : KvFormat::kSameAsModel;
    args.qkv = qkv.data();
    args.out = out.data();
    args.cos = cos.data();
    args.sin = sin.data();
    args.positions = positions.data();
    args.row_starts = row_starts.data();
    args.block_starts = block_starts.data();
    args.blocks = blocks.data();
    args.kv = pool.data();
    args.num_decode_rows = setup_.num_decode_rows;
    args.num_prefill_rows = static_cast<int>(setup_.rows.size());
    args.num_prefill_tokens = num_tokens_ - setup_.num_decode_rows;
    Call(args, reference);
    return {qkv.Read(), out.Read(), pool.Read()};
  }

  void Call(const AttentionArgs& args, bool reference) const {
    if (reference) {
      const int num_rows = args.num_decode_rows + args.num_prefill_rows;
      ASSERT_EQ(ReferenceAttention(args, num_rows, num_tokens_, nullptr), cudaSuccess);
    } else {
      DeviceFeatures device = CurrentDevice();
      device.num_sms = kNumSms;
      ASSERT_EQ(PreparePrefillAttention(device), cudaSuccess);
      ASSERT_EQ(StorePrefillKv(args, nullptr), cudaSuccess);
      ASSERT_EQ(PrefillAttention(args, device, nullptr), cudaSuccess);
    }
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }

  void PlaceTokens() {
    for (int r = 0; r < setup_.num_decode_rows; ++r) {
      row_starts_.push_back(r);
      positions_.push_back(-1);
    }
    for (const Row& row : setup_.rows) {
      row_starts_.push_back(static_cast<int>(positions_.size()));
      for (int i = 0; i < row.num_new; ++i) positions_.push_back(row.num_cached + i);
    }
    num_tokens_ = static_cast<int>(positions_.size());
    row_starts_.push_back(num_tokens_);
    for (int position : positions_) {
      for (int d = 0; d < kHeadDim / 2; ++d) {
        const double angle = position * std::pow(10000.0, -2.0 * d / kHeadDim);
        cos_.push_back(static_cast<float>(std::cos(angle)));
        sin_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }

  void PlaceBlocks() {
    block_starts_.assign(setup_.num_decode_rows, 0);
    for (const Row& row : setup_.rows) {
      block_starts_.push_back(static_cast<int>(blocks_.size()));
      const int num_blocks = (row.num_cached + row.num_new + kTileTokens - 1) / kTileTokens;
      for (int i = 0; i < num_blocks; ++i) blocks_.push_back(static_cast<int>(blocks_.size()));
    }
    std::shuffle(blocks_.begin(), blocks_.end(), random_);
  }

  void FillPool() {
    pool_.assign(blocks_.size() * setup_.shape.num_kv_heads * Tile::kBytes, 0xff);  // NaN
    for (size_t r = 0; r < setup_.rows.size(); ++r) {
      for (int position = 0; position < setup_.rows[r].num_cached; ++position) {
        for (int head = 0; head < setup_.shape.num_kv_heads; ++head) {
          for (bool values : {false, true}) {
            Put(pool_, r, position, head, values, RandomNumbers(kHeadDim, kType, random_));
          }
        }
      }
    }
  }

  size_t TileStart(int row, int position, int kv_head) const {
    const size_t block =
        blocks_[block_starts_[setup_.num_decode_rows + row] + position / kTileTokens];
    return (block * setup_.shape.num_kv_heads + kv_head) * Tile::kBytes;
  }
  static int NumberOffset(int position, bool values, int d) {
    constexpr int kChunkNumbers = 16 / (kFp8 ? 1 : 2);
    return (values ? Tile::kValuesOffset : Tile::kKeysOffset) +
           Tile::ChunkOffset(position % kTileTokens, d / kChunkNumbers) +
           d % kChunkNumbers * (kFp8 ? 1 : 2);
  }
  static int ScaleOffset(int position, bool values) {
    return (values ? Tile::kValueScalesOffset : Tile::kKeyScalesOffset) +
           position % kTileTokens * 4;
  }

  void Put(std::vector<uint8_t>& pool, int row, int position, int kv_head, bool values,
           const std::vector<float>& numbers) const {
    uint8_t* tile = pool.data() + TileStart(row, position, kv_head);
    float scale = 0;
    for (float x : numbers) scale = std::max(scale, std::abs(x) / kFp8Max);
    if (kFp8) std::memcpy(tile + ScaleOffset(position, values), &scale, 4);
    for (int d = 0; d < kHeadDim; ++d) {
      uint8_t* to = tile + NumberOffset(position, values, d);
      if (kFp8) {
        *to = __nv_cvt_float_to_fp8(numbers[d] / scale, __NV_SATFINITE, __NV_E4M3);
      } else {
        *reinterpret_cast<T*>(to) = T(numbers[d]);
      }
    }
  }

  std::vector<double> Get(int row, int position, int kv_head, bool values) const {
    const uint8_t* tile = pool_.data() + TileStart(row, position, kv_head);
    float scale = 1;
    if (kFp8) std::memcpy(&scale, tile + ScaleOffset(position, values), 4);
    std::vector<double> numbers(kHeadDim);
    for (int d = 0; d < kHeadDim; ++d) {
      const uint8_t* from = tile + NumberOffset(position, values, d);
      if (kFp8) {
        __nv_fp8_e4m3 number;
        number.__x = *from;
        numbers[d] = float(number) * double(scale);
      } else {
        numbers[d] = float(*reinterpret_cast<const T*>(from));
      }
    }
    return numbers;
  }

  // A query's, key's (or value's) numbers before the step, rotated if asked to.
  std::vector<double> Vector(int token, int vector, bool rotated) const {
    const float* from = qkv_.data() + (size_t(token) * vectors_ + vector) * kHeadDim;
    std::vector<double> numbers(from, from + kHeadDim);
    constexpr int kHalf = kHeadDim / 2;
    for (int d = 0; rotated && d < kHalf; ++d) {
      const double cos = cos_[size_t(token) * kHalf + d], sin = sin_[size_t(token) * kHalf + d];
      const double low = from[d], high = from[d + kHalf];
      numbers[d] = low * cos - high * sin;
      numbers[d + kHalf] = high * cos + low * sin;
    }
    return numbers;
  }

  void ExpectTokenStored(int row, int index, std::vector<uint8_t>& pool) const {
    const int token = row_starts_[setup_.num_decode_rows + row] + index;
    const int position = positions_[token];
    const int num_heads = setup_.shape.num_heads, num_kv_heads = setup_.shape.num_kv_heads;
    for (int head = 0; head < num_heads; ++head) {
      const std::vector<double> expected = Vector(token, head, true);
      const float* got = got_qkv_.data() + (size_t(token) * vectors_ + head) * kHeadDim;
      for (int d = 0; d < kHeadDim; ++d) {
        ASSERT_NEAR(got[d], expected[d], 1e-6 + 1.01 * RoundingOf(kType) * std::abs(expected[d]))
            << "query of token " << token;
      }
    }
    for (int kv_head = 0; kv_head < num_kv_heads; ++kv_head) {
      for (bool values : {false, true}) {
        const int vector = num_heads + kv_head + (values ? num_kv_heads : 0);
        const std::vector<double> expected = Vector(token, vector, !values);
        const std::vector<double> got = Get(row, position, kv_head, values);
        double largest = 0;
        for (double x : expected) largest = std::max(largest, std::abs(x));
        for (int d = 0; d < kHeadDim; ++d) {
          const double rounding = RoundingOf(kType) + (kFp8 ? 0x1p-4 : 0);
          const double tolerance = 1e-6 + 1.01 * rounding * std::abs(expected[d]) +
                                   (kFp8 ? largest / kFp8Max * 0x1p-9 : 0);
          ASSERT_NEAR(got[d], expected[d], tolerance) << "token " << token << " values " << values;
        }
        CopyVector(row, position, kv_head, values, pool);
      }
    }
  }

  // What the step wrote at one place, from pool_ to `pool`.
  void CopyVector(int row, int position, int kv_head, bool values,
                  std::vector<uint8_t>& pool) const {
    const size_t tile = TileStart(row, position, kv_head);
    for (int d = 0; d < kHeadDim; ++d) {
      const size_t offset = tile + NumberOffset(position, values, d);
      std::memcpy(&pool[offset], &pool_[offset], kFp8 ? 1 : 2);
    }
    const size_t scale = tile + ScaleOffset(position, values);
    if (kFp8) std::memcpy(&pool[scale], &pool_[scale], 4);
  }

  void ExpectVectorAttended(int row, int index, int head) const {
    const int token = row_starts_[setup_.num_decode_rows + row] + index;
    const int kv_head = head / (setup_.shape.num_heads / setup_.shape.num_kv_heads);
    std::vector<double> query = Vector(token, head, true);
    for (double& x : query) x = Rounded(static_cast<float>(x), kType);
    const int num_keys = positions_[token] + 1;
    std::vector<double> weights(num_keys);
    for (int i = 0; i < num_keys; ++i) {
      const std::vector<double> key = Get(row, i, kv_head, false);
      for (int d = 0; d < kHeadDim; ++d) weights[i] += query[d] * key[d] / std::sqrt(kHeadDim);
    }
    const double largest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights) sum += weight = std::exp(weight - largest);
    std::vector<double> expected(kHeadDim);
    for (int i = 0; i < num_keys; ++i) {
      const std::vector<double> value = Get(row, i, kv_head, true);
      for (int d = 0; d < kHeadDim; ++d) expected[d] += weights[i] / sum * value[d];
    }
    double squares = 0;
    for (double x : expected) squares += x * x / kHeadDim;
    const float* got = got_.data() + (size_t(token) * setup_.shape.num_heads + head) * kHeadDim;
    for (int d = 0; d < kHeadDim; ++d) {
      ASSERT_NEAR(got[d], expected[d], Tolerance(expected[d], squares)) << "d " << d;
    }
  }

  // Weights are rounded, and fp8's numbers times their scales; then the result is.
  // `mean_square`: of the numbers of the result.
  static double Tolerance(double expected, double mean_square) {
    return RoundingOf(kType) * (1.1 * std::abs(expected) + (kFp8 ? 8 : 4) * std::sqrt(mean_square));
  }

  const Setup setup_;
  std::mt19937 random_;
  int num_tokens_ = 0;
  int vectors_ = 0;
  std::vector<int32_t> row_starts_, positions_, block_starts_, blocks_;
  std::vector<float> cos_, sin_;
  std::vector<float> qkv_, got_qkv_, got_, reference_;
  std::vector<uint8_t> pool_, before_;
};

template <class T, int kHeadDim, bool kFp8>
void Expect(const Setup& setup, int num_checked) {
  Step<T, kHeadDim, kFp8> step(setup, /*seed=*/static_cast<int>(setup.rows.size()));
  step.Run();
  if (::testing::Test::HasFatalFailure()) return;
  step.ExpectStored();
  step.ExpectAttendedAsReference();
  step.ExpectAttended(num_checked);
}

// All types and formats.
void ExpectAll(Setup setup, int num_checked = 5) {
  if (setup.shape.head_dim == 128) {
    Expect<__nv_bfloat16, 128, false>(setup, num_checked);
    Expect<__half, 128, false>(setup, num_checked);
    Expect<__nv_bfloat16, 128, true>(setup, num_checked);
    Expect<__half, 128, true>(setup, num_checked);
  } else {
    Expect<__nv_bfloat16, 64, false>(setup, num_checked);
    Expect<__half, 64, false>(setup, num_checked);
    Expect<__nv_bfloat16, 64, true>(setup, num_checked);
    Expect<__half, 64, true>(setup, num_checked);
  }
}

class PrefillAttentionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
    if (!CurrentDevice().has_wgmma()) GTEST_SKIP() << "needs sm_90a";
  }
};

TEST_F(PrefillAttentionTest, RowOfOneToken) {
  ExpectAll({{12, 2, 128}, {{0, 1}}});
  ExpectAll({{14, 2, 64}, {{0, 1}}});
}

TEST_F(PrefillAttentionTest, RowsOfAllLengthsWithAndWithoutCachedPrefix) {
  const std::vector<Row> rows = {{0, 1},    {0, 15},   {0, 16},    {0, 17},  {16, 1},  {127, 1},
                                 {128, 1},  {112, 16}, {100, 30},  {0, 128}, {0, 129}, {250, 77},
                                 {1000, 3}, {0, 300},  {511, 130}, {64, 21}, {64, 22}, {5, 43}};
  ExpectAll({{12, 2, 128}, rows, 3});
  ExpectAll({{14, 2, 64}, rows, 5});
}

TEST_F(PrefillAttentionTest, EveryGroupSize) {
  for (int group : {1, 2, 4, 5, 7, 8, 16, 48}) {
    SCOPED_TRACE(group);
    ExpectAll({{group, 1, 128}, {{37, 50}, {3, 200}}}, 3);
    ExpectAll({{2 * group, 2, 64}, {{37, 50}, {3, 200}}}, 3);
  }
}

TEST_F(PrefillAttentionTest, LongRow) {
  Expect<__nv_bfloat16, 128, false>({{12, 2, 128}, {{0, 2000}}}, 6);
  Expect<__nv_bfloat16, 128, true>({{12, 2, 128}, {{0, 1500}}}, 6);
}

TEST_F(PrefillAttentionTest, ShortChunkOfLongContext) {
  ExpectAll({{6, 1, 128}, {{20000, 16}}}, 2);
  ExpectAll({{14, 2, 64}, {{3000, 10}, {500, 100}}}, 2);
  // By row: no key for some of the blocks that share them, or only masked ones.
  for (int num_cached : {0, 128, 250, 600, 896, 1019, 1020, 1024}) {
    SCOPED_TRACE(num_cached);
    ExpectAll({{12, 2, 128}, {{num_cached, 12}}}, 2);
  }
}

TEST_F(PrefillAttentionTest, MoreRowsThanAWarpHasLanes) {
  std::vector<Row> rows;
  for (int r = 0; r < 100; ++r) rows.push_back({r * 7 % 45, 1 + r * 13 % 61});
  ExpectAll({{12, 2, 128}, rows, 2}, 2);
}

}  // namespace
}  // namespace weft::worker::ops::cuda
