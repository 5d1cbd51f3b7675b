// Decode attention: what one warp does: bring tiles, complete the new token's, attend.
#pragma once

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/decode_plan.cuh"
#include "worker/ops/cuda/fragments.cuh"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/numbers.cuh"

namespace weft::worker::ops::cuda::decode {

// ---- a warp's tiles ----

// The tiles of units first, first + kWarps, ... below end, in order, a ring's length
// ahead. All lanes call together.
template <class C>
class TileStream {
 public:
  __device__ TileStream(unsigned char* ring, uint64_t* barriers)
      : ring_(ring), barriers_(barriers) {
#if __CUDA_ARCH__ >= 900
    if (Lane() == 0) {
      for (int stage = 0; stage < C::kStages; ++stage) InitBarrier(&barriers_[stage], 1);
      PublishBarriers();
    }
    __syncwarp();
#endif
  }

  // Begins to find the tiles. Fill must follow.
  __device__ void Start(const Params& p, int row, int first, int end) {
    row_ = row;
    next_ = first;
    end_ = end;
    Locate(p);
  }

  // Begins to copy as many as the ring holds.
  __device__ void Fill(const Params& p) {
#if __CUDA_ARCH__ >= 900
    if (Lane() < C::kStages && next_ + Lane() * kWarps < end_) Copy(p, Lane(), offset_);
    num_copied_ = C::kStages;
    next_ += C::kStages * kWarps;
#else
    for (int stage = 0; stage < C::kStages; ++stage) CopyNext(p, stage);
#endif
  }

  // The oldest tile, when it has come.
  __device__ unsigned char* Wait() {
#if __CUDA_ARCH__ >= 900
    WaitBarrier(&barriers_[stage_], parity_);
#endif
    return ring_ + stage_ * C::Tile::kBytes;
  }

  // Gives the oldest tile's place to a new one.
  __device__ void Release(const Params& p) {
    __syncwarp();
    CopyNext(p, stage_);
    if (++stage_ == C::kStages) {
      stage_ = 0;
      parity_ ^= 1;
    }
  }

 private:
  __device__ static int Lane() { return threadIdx.x % kWarpLanes; }

  // Finding a tile takes several dependent loads: the lanes do it for 32 at once, and
  // nobody waits before the first of them is copied.
  __device__ void Locate(const Params& p) {
    const int unit = min(next_ + Lane() * kWarps, end_ - 1);
    offset_ = TileOffset(p, row_, unit, C::Tile::kBytes);
  }

  __device__ void CopyNext(const Params& p, int stage) {
    if (next_ >= end_) return;
    const int64_t offset = __shfl_sync(kAllLanes, offset_, num_copied_ % kWarpLanes);
#if __CUDA_ARCH__ >= 900
    if (Lane() == 0) Copy(p, stage, offset);
#else
    Copy(p, stage, offset);
#endif
    next_ += kWarps;
    if (++num_copied_ % kWarpLanes == 0) Locate(p);
  }

  // By one lane; before sm_90 by all.
  __device__ void Copy(const Params& p, int stage, int64_t offset) {
    unsigned char* to = ring_ + stage * C::Tile::kBytes;
    const unsigned char* tile = static_cast<const unsigned char*>(p.args.kv) + offset;
#if __CUDA_ARCH__ >= 900
    ArriveExpectingBytes(&barriers_[stage], C::Tile::kBytes);
    CopyBulk(to, tile, C::Tile::kBytes, &barriers_[stage]);
#else
    for (int i = Lane() * 16; i < C::Tile::kBytes; i += kWarpLanes * 16) {
      *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(tile + i);
    }
    __syncwarp();
#endif
  }

  unsigned char* ring_;
  uint64_t* barriers_;
  int row_ = 0;  // not after that of any unit still to be copied
  int next_ = 0;
  int end_ = 0;
  int num_copied_ = 0;
  int64_t offset_ = 0;  // lane i: of the i-th of 32 tiles
  int stage_ = 0;
  uint32_t parity_ = 0;
};

// ---- the new key and value ----

// Spread over the warp by 8 elements: of D / 16 lanes from lane 0 on, lane i holds the
// key's i-th 8 of the lower half of D and of the upper; from lane 16 on the value's.
template <class C>
class NewToken {
 public:
  using T = typename C::T;
  using Tile = typename C::Tile;

  __device__ void Load(const Params& p, const Piece& piece) {
    if (!Active()) return;
    const AttentionShape& shape = p.args.shape;
    const int num_heads = shape.num_heads + 2 * shape.num_kv_heads;
    const int head = shape.num_heads + (IsValue() ? shape.num_kv_heads : 0) + piece.kv_head;
    const T* x = static_cast<const T*>(p.args.qkv) +
                 (static_cast<int64_t>(piece.item.row) * num_heads + head) * C::kHeadDim +
                 8 * Part();
    low_ = *reinterpret_cast<const uint4*>(x);
    high_ = *reinterpret_cast<const uint4*>(x + C::kHeadDim / 2);
    if (IsValue()) return;
    const int64_t angle = static_cast<int64_t>(piece.item.row) * (C::kHeadDim / 2) + 8 * Part();
    for (int i = 0; i < 2; ++i) {
      cos_[i] = *reinterpret_cast<const float4*>(p.args.cos + angle + 4 * i);
      sin_[i] = *reinterpret_cast<const float4*>(p.args.sin + angle + 4 * i);
    }
  }

  // Rotates, rounds and, for fp8, quantizes.
  __device__ void Encode() {
    float x[16];
    Unpack(x);
    if (Active() && !IsValue()) {
      const float* cos = reinterpret_cast<const float*>(cos_);
      const float* sin = reinterpret_cast<const float*>(sin_);
#pragma unroll
      for (int i = 0; i < 8; ++i) Rotate(x[i], x[8 + i], cos[i], sin[i]);
    }
    if constexpr (C::kFp8) {
      float largest = 0;
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        x[i] = RoundTo<T>(x[i]);
        largest = fmaxf(largest, fabsf(x[i]));
      }
      for (int lanes = 8; lanes > 0; lanes /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, lanes));
      }
      const Fp8Scale scale = Fp8ScaleOf(largest);
      scale_ = scale.scale;
#pragma unroll
      for (int i = 0; i < 16; ++i) x[i] *= scale.inverse;
    }
    Pack(x);
  }

  // Into a tile in shared or global memory.
  __device__ void Store(unsigned char* tile, int token) const {
    if (!Active()) return;
    unsigned char* rows = tile + (IsValue() ? Tile::kValuesOffset : Tile::kKeysOffset);
    StoreEight(rows, token, Part(), low_);
    StoreEight(rows, token, Part() + C::kHeadDim / 16, high_);
    if constexpr (C::kFp8) {
      const int scales = IsValue() ? Tile::kValueScalesOffset : Tile::kKeyScalesOffset;
      if (Part() == 0) reinterpret_cast<float*>(tile + scales)[token] = scale_;
    }
  }

 private:
  __device__ static int Part() { return threadIdx.x % 16; }
  __device__ static bool Active() { return Part() < C::kHeadDim / 16; }
  __device__ static bool IsValue() { return threadIdx.x % kWarpLanes >= 16; }

  __device__ void Unpack(float (&x)[16]) const {
    const uint32_t words[8] = {low_.x, low_.y, low_.z, low_.w, high_.x, high_.y, high_.z, high_.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float2 pair = UnpackPair<T>(words[i]);
      x[2 * i] = pair.x;
      x[2 * i + 1] = pair.y;
    }
  }

  // fp8 fills half the registers.
  __device__ void Pack(const float (&x)[16]) {
    uint32_t words[8] = {};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if constexpr (C::kFp8) {
        const uint32_t pair = PackFp8Pair(x[2 * i], x[2 * i + 1]);
        words[i / 4 * 4 + i % 4 / 2] |= pair << (i % 2 * 16);
      } else {
        words[i] = PackPair<T>(x[2 * i], x[2 * i + 1]);
      }
    }
    low_ = make_uint4(words[0], words[1], words[2], words[3]);
    high_ = make_uint4(words[4], words[5], words[6], words[7]);
  }

  __device__ static void StoreEight(unsigned char* rows, int token, int part, const uint4& x) {
    if constexpr (C::kFp8) {
      unsigned char* chunk = rows + Tile::ChunkOffset(token, part / 2);
      *reinterpret_cast<uint2*>(chunk + part % 2 * 8) = make_uint2(x.x, x.y);
    } else {
      *reinterpret_cast<uint4*>(rows + Tile::ChunkOffset(token, part)) = x;
    }
  }

  uint4 low_ = {};
  uint4 high_ = {};
  float4 cos_[2] = {};
  float4 sin_[2] = {};
  float scale_ = 0;
};

// Nothing was written yet behind the new token; whatever is there may be NaN, which
// even a weight of zero would not silence.
template <class C>
__device__ void ClearValuesFrom(unsigned char* tile, int token) {
  using Tile = typename C::Tile;
  const int lane = threadIdx.x % kWarpLanes;
  for (int i = token * Tile::kChunksPerRow + lane; i < kTileTokens * Tile::kChunksPerRow;
       i += kWarpLanes) {
    const int at = Tile::ChunkOffset(i / Tile::kChunksPerRow, i % Tile::kChunksPerRow);
    *reinterpret_cast<uint4*>(tile + Tile::kValuesOffset + at) = make_uint4(0, 0, 0, 0);
  }
  if constexpr (C::kFp8) {
    float* scales = reinterpret_cast<float*>(tile + Tile::kValueScalesOffset);
    if (lane >= token && lane < kTileTokens) scales[lane] = 0;
  }
}

// ---- a warp's arithmetic ----

// Eight neighbouring elements, loaded 16 bytes at a time.
template <class T>
class Eight {
 public:
  __device__ void Load(const T* from) {
    for (int i = 0; i < kVectors; ++i) vectors_[i] = reinterpret_cast<const uint4*>(from)[i];
  }
  __device__ void Clear() {
    for (int i = 0; i < kVectors; ++i) vectors_[i] = make_uint4(0, 0, 0, 0);
  }
  __device__ float2 Pair(int i) const {
    if constexpr (sizeof(T) == 4) {
      return reinterpret_cast<const float2*>(vectors_)[i];
    } else {
      return UnpackPair<T>(reinterpret_cast<const uint32_t*>(vectors_)[i]);
    }
  }

 private:
  static constexpr int kVectors = 8 * sizeof(T) / 16;
  uint4 vectors_[kVectors];
};

__device__ __forceinline__ float Exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// Queries of a head tile as B fragments, and softmax and output of what the warp has
// seen of the piece. Of lane (g, t): queries of head g; output of heads 2t and 2t+1.
template <class C>
class WarpAttention {
 public:
  using T = typename C::T;
  using Operand = typename C::Operand;
  using Tile = typename C::Tile;

  // A row of queries and 16 bytes that spread the rows over the banks.
  static constexpr int kScratchStride = C::kHeadDim * int{sizeof(Operand)} + 16;
  static constexpr int kScratchBytes = kTileHeads * kScratchStride;

  // Starts loading a piece's queries. Between Store and Start.
  __device__ void Load(const Params& p, const Piece& piece) {
    const AttentionShape& shape = p.args.shape;
    const int64_t vectors = shape.num_heads + 2 * shape.num_kv_heads;
    const int part = Lane() % kParts;
    const T* from = static_cast<const T*>(p.args.qkv) +
                    (piece.item.row * vectors + piece.first_head) * C::kHeadDim + 8 * part;
    const int64_t angle = static_cast<int64_t>(piece.item.row) * (C::kHeadDim / 2) + 8 * part;
    cos_.Load(p.args.cos + angle);
    sin_.Load(p.args.sin + angle);
#pragma unroll
    for (int i = 0; i < kHeadsPerLane; ++i) {
      const int head = i * (kWarpLanes / kParts) + Lane() / kParts;
      if (head < piece.num_heads) {
        low_[i].Load(from + head * C::kHeadDim);
        high_[i].Load(from + head * C::kHeadDim + C::kHeadDim / 2);
      } else {
        low_[i].Clear();
        high_[i].Clear();
      }
    }
  }

  // Begins the piece of the last Load. scratch: kScratchBytes of shared memory, the
  // warp's own.
  __device__ void Start(unsigned char* scratch) {
#pragma unroll
    for (int i = 0; i < kHeadsPerLane; ++i) StageQueries(i, scratch);
    __syncwarp();
    LoadQueries(scratch);
    __syncwarp();  // Store may write there
    for (int i = 0; i < 2; ++i) {
      max_[i] = -INFINITY;
      sum_[i] = 0;
    }
#pragma unroll
    for (int i = 0; i < C::kSteps; ++i) {
      for (int j = 0; j < 4; ++j) out_[i][j] = 0;
    }
  }

  // Only the first num_tokens of the tile, at least 1, count. score_scale: Params'.
  __device__ void Attend(const unsigned char* tile, int num_tokens, float score_scale) {
    float scores[4];  // tokens g, g, g+8, g+8; heads 2t, 2t+1, 2t, 2t+1
    Score(tile, scores);
    float value_scales[2] = {1, 1};
    if constexpr (C::kFp8) {
      const float* key_scales = reinterpret_cast<const float*>(tile + Tile::kKeyScalesOffset);
      const float* values = reinterpret_cast<const float*>(tile + Tile::kValueScalesOffset);
      for (int i = 0; i < 2; ++i) {
        const float key_scale = key_scales[G() + 8 * i] * (1 / kQueryShrink);
        scores[2 * i] *= key_scale;
        scores[2 * i + 1] *= key_scale;
        value_scales[i] = values[G() + 8 * i] * kValueGrow;
      }
    }
    for (int i = 0; i < 4; ++i) {
      scores[i] = G() + i / 2 * 8 < num_tokens ? scores[i] * score_scale : -INFINITY;
    }
    Weigh(scores);
    const uint32_t weights[2] = {TransposeMatrix(PackPair<Operand>(scores[0] * value_scales[0],
                                                                   scores[1] * value_scales[0])),
                                 TransposeMatrix(PackPair<Operand>(scores[2] * value_scales[1],
                                                                   scores[3] * value_scales[1]))};
    AddValues(tile, weights);
  }

  // To results [head][C::kResultStride], maxima [head], sums [head].
  __device__ void Store(float* results, float* maxima, float* sums) {
    for (int i = 0; i < 2; ++i) {
      for (int lanes = 4; lanes < kWarpLanes; lanes *= 2) {
        sum_[i] += __shfl_xor_sync(kAllLanes, sum_[i], lanes);
      }
      if (G() == 0) {
        maxima[2 * Column() + i] = max_[i];
        sums[2 * Column() + i] = sum_[i];
      }
    }
#pragma unroll
    for (int i = 0; i < C::kSteps; ++i) {
      for (int j = 0; j < 4; ++j) {
        const int head = 2 * Column() + j % 2;
        const int d = C::kFp8 ? 16 * i + 2 * G() + j / 2 : 16 * i + G() + j / 2 * 8;
        results[head * C::kResultStride + d] = out_[i][j] * (C::kFp8 ? 1 / kValueGrow : 1.0f);
      }
    }
  }

 private:
  // Lane i loads part i % kParts, eight elements of the lower half of D and their
  // partners, of head i / kParts and, for D = 128, of the one four later.
  static constexpr int kParts = C::kHeadDim / 16;
  static constexpr int kHeadsPerLane = kTileHeads * kParts / kWarpLanes;
  static_assert(kHeadsPerLane >= 1);

  __device__ static int Lane() { return threadIdx.x % kWarpLanes; }
  __device__ static int G() { return Lane() / 4; }
  __device__ static int Column() { return threadIdx.x % 4; }  // t

  // Rotates the lane's queries and lays them out in shared memory as rows of a head,
  // for LoadMatrices.
  __device__ void StageQueries(int i, unsigned char* scratch) {
    const int head = i * (kWarpLanes / kParts) + Lane() / kParts, part = Lane() % kParts;
    uint32_t low[4], high[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float2 x = low_[i].Pair(j), y = high_[i].Pair(j);
      Rotate(x.x, y.x, cos_.Pair(j).x, sin_.Pair(j).x);
      Rotate(x.y, y.y, cos_.Pair(j).y, sin_.Pair(j).y);
      low[j] = PackQueries(x);
      high[j] = PackQueries(y);
    }
    unsigned char* row = scratch + head * kScratchStride;
    StoreQueries(row, part, make_uint4(low[0], low[1], low[2], low[3]));
    StoreQueries(row, part + kParts, make_uint4(high[0], high[1], high[2], high[3]));
  }

  __device__ static uint32_t PackQueries(float2 x) {
    if constexpr (!C::kFp8) return PackPair<Operand>(x.x, x.y);
    return PackPair<Operand>(RoundTo<T>(x.x) * kQueryShrink, RoundTo<T>(x.y) * kQueryShrink);
  }

  // Two bytes of fp8 stand where one 16-bit element does: a lane's register of keys
  // holds four neighbours, 4t to 4t+3 of 16. So the queries' first pairs of four go to
  // the first chunk, where B's rows 2t, 2t+1 come from, the second pairs to the other.
  __device__ static void StoreQueries(unsigned char* row, int part, uint4 x) {
    if constexpr (C::kFp8) {
      unsigned char* at = row + part / 2 * 32 + part % 2 * 8;
      *reinterpret_cast<uint2*>(at) = make_uint2(x.x, x.z);
      *reinterpret_cast<uint2*>(at + 16) = make_uint2(x.y, x.w);
    } else {
      *reinterpret_cast<uint4*>(row + part * 16) = x;
    }
  }

  __device__ void LoadQueries(const unsigned char* scratch) {
    const uint32_t row = SharedAddress(scratch + Lane() % 8 * kScratchStride + Lane() / 8 * 16);
#pragma unroll
    for (int step = 0; step < C::kSteps; step += 2) {
      uint32_t m[4];
      LoadMatrices(m, row + step * 32);
      queries_[step][0] = m[0];
      queries_[step][1] = m[1];
      queries_[step + 1][0] = m[2];
      queries_[step + 1][1] = m[3];
    }
  }

  // Even and odd steps are summed apart: two chains hide half the latency.
  __device__ void Score(const unsigned char* tile, float (&scores)[4]) const {
    const uint32_t keys = SharedAddress(tile + Tile::kKeysOffset);
    const int lane = threadIdx.x % kWarpLanes;
    const int token = lane % 16;
    float sums[2][4] = {};
    uint32_t m[4];  // (tokens 0-7, chunk), (8-15, chunk), (0-7, chunk + 1), (8-15, chunk + 1)
#pragma unroll
    for (int chunk = 0; chunk < Tile::kChunksPerRow; chunk += 2) {
      LoadMatrices(m, keys + Tile::ChunkOffset(token, chunk + lane / 16));
      if constexpr (C::kFp8) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const uint32_t a[4] = {Fp8PairToHalves(m[2 * i]), Fp8PairToHalves(m[2 * i + 1]),
                                 Fp8PairToHalves(m[2 * i] >> 16),
                                 Fp8PairToHalves(m[2 * i + 1] >> 16)};
          Mma<Operand>(sums[i], a, queries_[chunk + i]);
        }
      } else {
        Mma<Operand>(sums[chunk / 2 % 2], m, queries_[chunk / 2]);
      }
    }
    for (int i = 0; i < 4; ++i) scores[i] = sums[0][i] + sums[1][i];
  }

  // Scores become weights; the output so far is brought to the new maximum.
  __device__ void Weigh(float (&scores)[4]) {
    float rescale[2];
    for (int i = 0; i < 2; ++i) {
      float max = fmaxf(scores[i], scores[2 + i]);
      for (int lanes = 4; lanes < kWarpLanes; lanes *= 2) {
        max = fmaxf(max, __shfl_xor_sync(kAllLanes, max, lanes));
      }
      max = fmaxf(max, max_[i]);
      rescale[i] = Exp2(max_[i] - max);
      max_[i] = max;
      scores[i] = Exp2(scores[i] - max);
      scores[2 + i] = Exp2(scores[2 + i] - max);
      sum_[i] = sum_[i] * rescale[i] + scores[i] + scores[2 + i];
    }
    if (!__any_sync(kAllLanes, rescale[0] != 1 || rescale[1] != 1)) return;
#pragma unroll
    for (int i = 0; i < C::kSteps; ++i) {
      for (int j = 0; j < 4; ++j) out_[i][j] *= rescale[j % 2];
    }
  }

  __device__ void AddValues(const unsigned char* tile, const uint32_t (&weights)[2]) {
    const uint32_t values = SharedAddress(tile + Tile::kValuesOffset);
    const int lane = threadIdx.x % kWarpLanes;
    uint32_t m[4];
#pragma unroll
    for (int chunk = 0; chunk < Tile::kChunksPerRow; chunk += 2) {
      if constexpr (C::kFp8) {
        // The transposed registers hold elements 2g, 2g+1 of token 2t, then of 2t+1.
        // Sorted by element they are two registers: rows g and g+8 of O^T's part.
        LoadMatricesTransposed(m, values + Tile::ChunkOffset(lane % 16, chunk + lane / 16));
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const uint32_t first = __byte_perm(m[2 * i], 0, 0x3120);
          const uint32_t second = __byte_perm(m[2 * i + 1], 0, 0x3120);
          const uint32_t a[4] = {Fp8PairToHalves(first), Fp8PairToHalves(first >> 16),
                                 Fp8PairToHalves(second), Fp8PairToHalves(second >> 16)};
          Mma<Operand>(out_[chunk + i], a, weights);
        }
      } else {
        const int token = lane / 16 * 8 + lane % 8;
        LoadMatricesTransposed(m, values + Tile::ChunkOffset(token, chunk + lane / 8 % 2));
        Mma<Operand>(out_[chunk / 2], m, weights);
      }
    }
  }

  Eight<T> low_[kHeadsPerLane];
  Eight<T> high_[kHeadsPerLane];
  Eight<float> cos_;
  Eight<float> sin_;
  uint32_t queries_[C::kSteps][2];
  float max_[2];
  float sum_[2];  // of this lane's tokens
  float out_[C::kSteps][4];
};

}  // namespace weft::worker::ops::cuda::decode
