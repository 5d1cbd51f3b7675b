// Rotation of the prefill rows' queries and keys, and their keys and values into the
// pool.

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/numbers.cuh"
#include "worker/ops/cuda/packed.cuh"
#include "worker/ops/cuda/row_search.cuh"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kStoreThreads = 256;

// Eight numbers of a head and the eight that rotate with them, half a head on.
struct Pieces {
  float low[8];
  float high[8];
};

template <class T, int kHeadDim>
__device__ __forceinline__ Pieces LoadPieces(const T* head, int piece) {
  Pieces pieces;
  Unpack(*reinterpret_cast<const Packed<T>*>(head + piece * 8), pieces.low);
  Unpack(*reinterpret_cast<const Packed<T>*>(head + kHeadDim / 2 + piece * 8), pieces.high);
  return pieces;
}

template <int kHeadDim>
__device__ __forceinline__ void RotatePieces(const AttentionArgs& args, int token, int piece,
                                             Pieces& pieces) {
  const int64_t offset = static_cast<int64_t>(token) * (kHeadDim / 2) + piece * 8;
#pragma unroll
  for (int i = 0; i < 8; i += 4) {
    const float4 cos = *reinterpret_cast<const float4*>(args.cos + offset + i);
    const float4 sin = *reinterpret_cast<const float4*>(args.sin + offset + i);
    Rotate(pieces.low[i], pieces.high[i], cos.x, sin.x);
    Rotate(pieces.low[i + 1], pieces.high[i + 1], cos.y, sin.y);
    Rotate(pieces.low[i + 2], pieces.high[i + 2], cos.z, sin.z);
    Rotate(pieces.low[i + 3], pieces.high[i + 3], cos.w, sin.w);
  }
}

// Eight numbers as e4m3.
__device__ __forceinline__ uint2 ToFp8(const float (&x)[8], float factor) {
  uint32_t pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = PackFp8Pair(x[2 * i] * factor, x[2 * i + 1] * factor);
  return make_uint2(pairs[0] | pairs[1] << 16, pairs[2] | pairs[3] << 16);
}

// Writes `pieces` of a key (value) whose kLanes lanes are all here. Rounding to T
// comes before fp8: the same numbers as a 16-bit pool would hold.
template <class T, int kHeadDim, bool kFp8>
__device__ __forceinline__ void StorePieces(Pieces& pieces, int piece, int slot, uint8_t* numbers,
                                            uint8_t* scales) {
  constexpr int kLanes = kHeadDim / 16;
  using Tile = KvTile<kHeadDim, kFp8 ? 1 : 2>;
  Packed<T> low, high;
  Pack(pieces.low, low);
  Pack(pieces.high, high);
  if constexpr (!kFp8) {
    *reinterpret_cast<Packed<T>*>(numbers + Tile::ChunkOffset(slot, piece)) = low;
    *reinterpret_cast<Packed<T>*>(numbers + Tile::ChunkOffset(slot, piece + kLanes)) = high;
  } else {
    Unpack(low, pieces.low);
    Unpack(high, pieces.high);
    float largest = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      largest = fmaxf(largest, fmaxf(fabsf(pieces.low[i]), fabsf(pieces.high[i])));
    }
    const unsigned lanes = ((1u << kLanes) - 1) << threadIdx.x % kWarpLanes / kLanes * kLanes;
    for (int offset = kLanes / 2; offset > 0; offset /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(lanes, largest, offset));
    }
    const Fp8Scale scale = Fp8ScaleOf(largest);
    const int half = piece % 2 * 8;
    *reinterpret_cast<uint2*>(numbers + Tile::ChunkOffset(slot, piece / 2) + half) =
        ToFp8(pieces.low, scale.inverse);
    *reinterpret_cast<uint2*>(numbers + Tile::ChunkOffset(slot, (piece + kLanes) / 2) + half) =
        ToFp8(pieces.high, scale.inverse);
    if (piece == 0) *reinterpret_cast<float*>(scales + slot * 4) = scale.scale;
  }
}

// D / 16 lanes a head of a token: queries are rotated in place, keys rotated and
// stored, values stored.
template <class T, int kHeadDim, bool kFp8>
__global__ void __launch_bounds__(kStoreThreads) StoreKernel(const AttentionArgs args) {
  constexpr int kLanes = kHeadDim / 16;
  using Tile = KvTile<kHeadDim, kFp8 ? 1 : 2>;
  LetNextStart();
  const AttentionShape& shape = args.shape;
  const int num_vectors = shape.num_heads + 2 * shape.num_kv_heads;
  const int index = blockIdx.x * (kStoreThreads / kLanes) + threadIdx.x / kLanes;
  const int piece = threadIdx.x % kLanes;
  if (index >= args.num_prefill_tokens * num_vectors) return;
  const int token = args.num_decode_rows + index / num_vectors;
  const int vector = index % num_vectors;
  WaitForPrevious();
  T* from = static_cast<T*>(const_cast<void*>(args.qkv)) +
            (static_cast<int64_t>(token) * num_vectors + vector) * kHeadDim;
  Pieces pieces = LoadPieces<T, kHeadDim>(from, piece);
  const bool is_value = vector >= shape.num_heads + shape.num_kv_heads;
  if (!is_value) RotatePieces<kHeadDim>(args, token, piece, pieces);
  if (vector < shape.num_heads) {
    Pack(pieces.low, *reinterpret_cast<Packed<T>*>(from + piece * 8));
    Pack(pieces.high, *reinterpret_cast<Packed<T>*>(from + kHeadDim / 2 + piece * 8));
    return;
  }
  const int kv_head = (vector - shape.num_heads) % shape.num_kv_heads;
  const int position = args.positions[token];
  const int row = RowOf(args.row_starts, args.num_decode_rows, args.num_prefill_rows, token);
  const int64_t block = args.blocks[args.block_starts[row] + position / kTileTokens];
  uint8_t* tile =
      static_cast<uint8_t*>(args.kv) + (block * shape.num_kv_heads + kv_head) * Tile::kBytes;
  StorePieces<T, kHeadDim, kFp8>(
      pieces, piece, position % kTileTokens,
      tile + (is_value ? Tile::kValuesOffset : Tile::kKeysOffset),
      tile + (is_value ? Tile::kValueScalesOffset : Tile::kKeyScalesOffset));
}

template <class T, int kHeadDim>
cudaError_t LaunchStore(const AttentionArgs& args, cudaStream_t stream) {
  const int num_vectors = args.shape.num_heads + 2 * args.shape.num_kv_heads;
  const int num_threads = args.num_prefill_tokens * num_vectors * (kHeadDim / 16);
  const int num_blocks = (num_threads + kStoreThreads - 1) / kStoreThreads;
  const Grid grid = {dim3(num_blocks), dim3(kStoreThreads)};
  if (args.kv_format == KvFormat::kFp8) {
    return Launch(StoreKernel<T, kHeadDim, true>, grid, stream, args);
  }
  return Launch(StoreKernel<T, kHeadDim, false>, grid, stream, args);
}

template <class T>
cudaError_t StoreOf(const AttentionArgs& args, cudaStream_t stream) {
  if (args.shape.head_dim == 64) return LaunchStore<T, 64>(args, stream);
  if (args.shape.head_dim == 128) return LaunchStore<T, 128>(args, stream);
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t StorePrefillKv(const AttentionArgs& args, cudaStream_t stream) {
  if (args.num_prefill_tokens == 0) return cudaSuccess;
  if (args.dtype == DType::kBFloat16) return StoreOf<__nv_bfloat16>(args, stream);
  if (args.dtype == DType::kFloat16) return StoreOf<__half>(args, stream);
  return cudaErrorInvalidValue;
}

}  // namespace weft::worker::ops::cuda
