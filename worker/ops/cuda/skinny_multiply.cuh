// Skinny linear: one warp's arithmetic.
#pragma once

#include "worker/ops/cuda/fragments.cuh"
#include "worker/ops/cuda/linear_norm.cuh"
#include "worker/ops/cuda/numbers.cuh"
#include "worker/ops/cuda/skinny_ring.cuh"

namespace weft::worker::ops::cuda::skinny {

using cuda::NormScale;
using cuda::WeighAndSquare;

__device__ __forceinline__ void SyncConsumers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kConsumers) : "memory");
}

__device__ __forceinline__ void SwapIf(bool swap, uint4& a, uint4& b) {
  const uint4 old = a;
  a = swap ? b : a;
  b = swap ? old : b;
}

// The two halves, 32 columns each, of this thread's quarter of a line: 16 bytes at
// chunk `quarter` and at 4 + quarter. Threads of odd rows read them the other way round,
// so that a quarter of a warp, two rows of 64 bytes, meets each bank once.
__device__ __forceinline__ void LoadHalves(const char* lines, int line, int odd, int quarter,
                                           uint4 (&halves)[2]) {
  halves[0] = *reinterpret_cast<const uint4*>(lines + ChunkOffset(line, quarter + 4 * odd));
  halves[1] = *reinterpret_cast<const uint4*>(lines + ChunkOffset(line, quarter + 4 - 4 * odd));
  SwapIf(odd, halves[0], halves[1]);
}

// A piece of x (64 columns of every token) as one thread multiplies it: of token
// lane / 4, and of eight more for each further tile, quarter lane % 4 of either half.
// The instruction would have other columns in a thread; which column is which k does
// not matter as long as weight and x agree.
template <int kTokenTiles>
struct XPiece {
  uint4 halves[kTokenTiles][2];

  static __device__ int Token(int tile, int num_tokens) {
    return min(tile * 8 + static_cast<int>(threadIdx.x) % kWarp / 4, num_tokens - 1);
  }

  // From the row-major x in global memory.
  template <class T>
  __device__ void Load(const LinearArgs& a, int piece) {
    const T* x = static_cast<const T*>(a.x) + piece * kMapColumns + threadIdx.x % 4 * 8;
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      const auto* from = reinterpret_cast<const uint4*>(x + int64_t{Token(i, a.num_tokens)} * a.k);
      halves[i][0] = __ldcg(from);
      halves[i][1] = __ldcg(from + 4);
    }
  }

  // From swizzled lines, a token each, of which the piece's first is `line`.
  __device__ void LoadLines(const char* lines, int line, int num_tokens) {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      LoadHalves(lines, line + Token(i, num_tokens), lane / 4 & 1, lane % 4, halves[i]);
    }
  }
};

// values = values * weight; returns the sum of the values' squares before.
template <class T>
__device__ __forceinline__ float WeighAndSquare(const uint4& weight, uint4& values) {
  return WeighAndSquare<T>(weight.x, values.x) + WeighAndSquare<T>(weight.y, values.y) +
         WeighAndSquare<T>(weight.z, values.z) + WeighAndSquare<T>(weight.w, values.w);
}

// Each warp adds up its pieces' squares: [warp][token].
template <class T>
__device__ __forceinline__ float NormScale(const LinearArgs& a, const float* squares, int token) {
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kConsumerWarps; ++warp) {
    sum += squares[warp * kMaxTokens + token];
  }
  return NormScale<T>(a, sum);
}

// Sums in two chains: one multiplication waits for the other only every second time.
template <int kTokenTiles>
using WarpSums = float[kTokenTiles][2][4];

// One warp's piece of a slot. `high` is where rows 8 to 15 lie.
template <class T, int kTokenTiles>
__device__ __forceinline__ void MultiplyPiece(const char* low, const char* high, int line,
                                              const XPiece<kTokenTiles>& x,
                                              WarpSums<kTokenTiles>& sums) {
  const int lane = threadIdx.x % kWarp, row = lane / 4, odd = row & 1, quarter = lane % 4;
  uint4 a[2], b[2];
  LoadHalves(low, line + row, odd, quarter, a);
  LoadHalves(high, line + row, odd, quarter, b);
#pragma unroll
  for (int i = 0; i < kTokenTiles; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint4 &low8 = a[half], &high8 = b[half], &v = x.halves[i][half];
      Mma<T>(sums[i][0], {low8.x, high8.x, low8.y, high8.y}, {v.x, v.y});
      Mma<T>(sums[i][1], {low8.z, high8.z, low8.w, high8.w}, {v.z, v.w});
    }
  }
}

}  // namespace weft::worker::ops::cuda::skinny
