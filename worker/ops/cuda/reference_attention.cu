// Attention written for plainness: what fp32 models run, and what the fast kernels
// are compared with. Any dtype; fp8 keys and values for 16-bit ones.

#include <type_traits>

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/numbers.cuh"
#include "worker/ops/cuda/row_search.cuh"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpLanes;

template <class Element, int kDim, bool kIsFp8>
struct Config {
  using T = Element;
  static constexpr int kHeadDim = kDim;
  static constexpr bool kFp8 = kIsFp8;
  static constexpr int kElementBytes = kIsFp8 ? 1 : int{sizeof(Element)};
  using Tile = KvTile<kDim, kElementBytes>;
  // A lane holds elements lane, lane + 32, ... of a head.
  static constexpr int kPerLane = kDim / kWarpLanes;

  // Bytes from the keys' (or values') start to an element.
  __device__ static int ElementOffset(int token, int d) {
    const int byte = d * kElementBytes;
    return Tile::ChunkOffset(token, byte / 16) + byte % 16;
  }
};

template <class C>
__device__ unsigned char* TileOf(const AttentionArgs& args, int row, int position, int kv_head) {
  const int64_t block = args.blocks[args.block_starts[row] + position / kTileTokens];
  return static_cast<unsigned char*>(args.kv) +
         (block * args.shape.num_kv_heads + kv_head) * C::Tile::kBytes;
}

__device__ float WarpMax(float x) {
  for (int lanes = kWarpLanes / 2; lanes > 0; lanes /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, lanes));
  }
  return x;
}

__device__ float WarpSum(float x) {
  for (int lanes = kWarpLanes / 2; lanes > 0; lanes /= 2) {
    x += __shfl_xor_sync(kAllLanes, x, lanes);
  }
  return x;
}

// ---- rotate and store ----

// Rotates what the warp holds of a head, and rounds it.
template <class C>
__device__ void RotateHead(const AttentionArgs& args, int token, float (&x)[C::kPerLane]) {
  constexpr int kHalf = C::kPerLane / 2;
  const int lane = threadIdx.x % kWarpLanes;
  for (int i = 0; i < kHalf; ++i) {
    const int64_t angle = static_cast<int64_t>(token) * (C::kHeadDim / 2) + lane + i * kWarpLanes;
    Rotate(x[i], x[i + kHalf], args.cos[angle], args.sin[angle]);
  }
  for (float& element : x) element = RoundTo<typename C::T>(element);
}

// One token's key or value into its tile's keys or values, scales there for fp8.
template <class C>
__device__ void StoreHead(unsigned char* rows, float* scales, int token,
                          const float (&x)[C::kPerLane]) {
  const int lane = threadIdx.x % kWarpLanes;
  Fp8Scale scale = {};
  if constexpr (C::kFp8) {
    float largest = 0;
    for (float element : x) largest = fmaxf(largest, fabsf(element));
    scale = Fp8ScaleOf(WarpMax(largest));
    if (lane == 0) scales[token] = scale.scale;
  }
  for (int i = 0; i < C::kPerLane; ++i) {
    unsigned char* at = rows + C::ElementOffset(token, lane + i * kWarpLanes);
    if constexpr (C::kFp8) {
      *at = static_cast<unsigned char>(PackFp8Pair(x[i] * scale.inverse, 0));
    } else {
      *reinterpret_cast<typename C::T*>(at) = FromFloat<typename C::T>(x[i]);
    }
  }
}

// One CTA a token, its warps by turns a head: queries rotated in place, keys rotated
// into the pool, values into the pool.
template <class C>
__global__ void RotateAndStoreKernel(AttentionArgs args, int num_rows) {
  using T = typename C::T;
  using Tile = typename C::Tile;
  WaitForPrevious();
  const int token = blockIdx.x;
  const int position = args.positions[token];
  if (position < 0) return;
  const int row = RowOf(args.row_starts, 0, num_rows, token);
  const int lane = threadIdx.x % kWarpLanes;
  const auto [num_heads, num_kv_heads, head_dim] = args.shape;
  for (int head = threadIdx.x / kWarpLanes; head < num_heads + 2 * num_kv_heads; head += kWarps) {
    T* from = static_cast<T*>(const_cast<void*>(args.qkv)) +
              (static_cast<int64_t>(token) * (num_heads + 2 * num_kv_heads) + head) * head_dim;
    float x[C::kPerLane];
    for (int i = 0; i < C::kPerLane; ++i) x[i] = ToFloat(from[lane + i * kWarpLanes]);
    const bool is_value = head >= num_heads + num_kv_heads;
    if (!is_value) RotateHead<C>(args, token, x);
    if (head < num_heads) {
      for (int i = 0; i < C::kPerLane; ++i) from[lane + i * kWarpLanes] = FromFloat<T>(x[i]);
      continue;
    }
    unsigned char* tile = TileOf<C>(args, row, position, (head - num_heads) % num_kv_heads);
    const int scales = is_value ? Tile::kValueScalesOffset : Tile::kKeyScalesOffset;
    StoreHead<C>(tile + (is_value ? Tile::kValuesOffset : Tile::kKeysOffset),
                 reinterpret_cast<float*>(tile + scales), position % kTileTokens, x);
  }
}

// ---- attend ----

template <class C>
__device__ float LoadElement(const unsigned char* rows, const float* scales, int token, int d) {
  const unsigned char* at = rows + C::ElementOffset(token, d);
  if constexpr (C::kFp8) {
    return Fp8ToFloat(*at) * scales[token];
  } else {
    return ToFloat(*reinterpret_cast<const typename C::T*>(at));
  }
}

// Softmax and output of what a warp has seen of the context.
template <class C>
struct Seen {
  float max = -INFINITY;
  float sum = 0;
  float out[C::kPerLane] = {};
};

template <class C>
__device__ void AttendPosition(const unsigned char* tile, int token,
                               const float (&query)[C::kPerLane], Seen<C>& seen) {
  using Tile = typename C::Tile;
  const int lane = threadIdx.x % kWarpLanes;
  const float* key_scales = reinterpret_cast<const float*>(tile + Tile::kKeyScalesOffset);
  const float* value_scales = reinterpret_cast<const float*>(tile + Tile::kValueScalesOffset);
  float score = 0;
  for (int i = 0; i < C::kPerLane; ++i) {
    score += query[i] *
             LoadElement<C>(tile + Tile::kKeysOffset, key_scales, token, lane + i * kWarpLanes);
  }
  score = WarpSum(score) * rsqrtf(static_cast<float>(C::kHeadDim));
  const float max = fmaxf(seen.max, score);
  const float rescale = expf(seen.max - max);
  const float weight = expf(score - max);
  seen.max = max;
  seen.sum = seen.sum * rescale + weight;
  for (int i = 0; i < C::kPerLane; ++i) {
    const float value =
        LoadElement<C>(tile + Tile::kValuesOffset, value_scales, token, lane + i * kWarpLanes);
    seen.out[i] = seen.out[i] * rescale + weight * value;
  }
}

// One CTA a query head (x) and token (y), its warps by turns a position.
template <class C>
__global__ void AttendKernel(AttentionArgs args, int num_rows) {
  using T = typename C::T;
  __shared__ float maxima[kWarps], sums[kWarps], outs[kWarps][C::kHeadDim];
  WaitForPrevious();
  const int head = blockIdx.x, token = blockIdx.y;
  const int position = args.positions[token];
  if (position < 0) return;
  const int row = RowOf(args.row_starts, 0, num_rows, token);
  const int warp = threadIdx.x / kWarpLanes, lane = threadIdx.x % kWarpLanes;
  const auto [num_heads, num_kv_heads, head_dim] = args.shape;
  const T* from = static_cast<const T*>(args.qkv) +
                  (static_cast<int64_t>(token) * (num_heads + 2 * num_kv_heads) + head) * head_dim;
  float query[C::kPerLane];
  for (int i = 0; i < C::kPerLane; ++i) query[i] = ToFloat(from[lane + i * kWarpLanes]);

  Seen<C> seen;
  for (int p = warp; p <= position; p += kWarps) {
    const unsigned char* tile = TileOf<C>(args, row, p, head / (num_heads / num_kv_heads));
    AttendPosition<C>(tile, p % kTileTokens, query, seen);
  }
  maxima[warp] = seen.max;
  sums[warp] = seen.sum;
  for (int i = 0; i < C::kPerLane; ++i) outs[warp][lane + i * kWarpLanes] = seen.out[i];
  __syncthreads();

  float max = -INFINITY;
  for (float other : maxima) max = fmaxf(max, other);  // finite: warp 0 saw position 0
  T* out = static_cast<T*>(args.out) + (static_cast<int64_t>(token) * num_heads + head) * head_dim;
  for (int d = threadIdx.x; d < head_dim; d += kThreads) {
    float sum = 0, x = 0;
    for (int i = 0; i < kWarps; ++i) {
      const float weight = expf(maxima[i] - max);
      sum += weight * sums[i];
      x += weight * outs[i][d];
    }
    out[d] = FromFloat<T>(x / sum);
  }
}

template <class C>
cudaError_t LaunchBoth(const AttentionArgs& args, int num_rows, int num_tokens,
                       cudaStream_t stream) {
  Grid grid;
  grid.threads = dim3(kThreads);
  grid.blocks = dim3(num_tokens);
  const cudaError_t error = Launch(RotateAndStoreKernel<C>, grid, stream, args, num_rows);
  if (error != cudaSuccess) return error;
  grid.blocks = dim3(args.shape.num_heads, num_tokens);
  return Launch(AttendKernel<C>, grid, stream, args, num_rows);
}

template <class T, bool kFp8>
cudaError_t LaunchWithDim(const AttentionArgs& args, int num_rows, int num_tokens,
                          cudaStream_t stream) {
  if (args.shape.head_dim == 64) {
    return LaunchBoth<Config<T, 64, kFp8>>(args, num_rows, num_tokens, stream);
  }
  if (args.shape.head_dim == 128) {
    return LaunchBoth<Config<T, 128, kFp8>>(args, num_rows, num_tokens, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t ReferenceAttention(const AttentionArgs& args, int num_rows, int num_tokens,
                               cudaStream_t stream) {
  if (num_tokens == 0) return cudaSuccess;
  const bool is_fp8 = args.kv_format == KvFormat::kFp8;
  switch (args.dtype) {
    case DType::kFloat32:
      if (is_fp8) return cudaErrorInvalidValue;
      return LaunchWithDim<float, false>(args, num_rows, num_tokens, stream);
    case DType::kBFloat16:
      if (is_fp8) return LaunchWithDim<__nv_bfloat16, true>(args, num_rows, num_tokens, stream);
      return LaunchWithDim<__nv_bfloat16, false>(args, num_rows, num_tokens, stream);
    case DType::kFloat16:
      if (is_fp8) return LaunchWithDim<__half, true>(args, num_rows, num_tokens, stream);
      return LaunchWithDim<__half, false>(args, num_rows, num_tokens, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace weft::worker::ops::cuda
