#include <algorithm>

#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/packed.cuh"
#include "worker/ops/cuda/rms_norm.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kFewRowsMaxThreads = 1024;
constexpr int kManyRowsMaxThreads = 512;  // their registers

// 16-byte pieces of a row that a thread keeps in registers. Few rows: one, so that
// a row's latency is one load's. Many: a warp or two take a whole row, all of its
// loads in flight at once, and hardly need to wait for one another.
constexpr int kFewRowsPieces = 1;
constexpr int kManyRowsPieces = 8;
constexpr int kManyRows = 1536;
constexpr int kManyRowsThreads = 128;  // of a block, which takes several rows

static_assert(kMaxNormBytes == kManyRowsPieces * kManyRowsMaxThreads * 16);

__device__ __forceinline__ float WarpSum(float value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffff, value, offset);
  }
  return value;
}

// The sum over the threads that share threadIdx.y, for each of them.
__device__ __forceinline__ float RowSum(float value) {
  __shared__ float partial[kFewRowsMaxThreads / kWarp];
  value = WarpSum(value);
  const int row_warps = blockDim.x / kWarp;
  if (row_warps == 1) return value;
  const int lane = threadIdx.x % kWarp;
  float* row = partial + threadIdx.y * row_warps;
  if (lane == 0) row[threadIdx.x / kWarp] = value;
  __syncthreads();
  return WarpSum(lane < row_warps ? row[lane] : 0.0f);
}

// threadIdx.x runs along a row, threadIdx.y over the block's rows.
template <class T, int kPieces>
__global__ void __launch_bounds__(kPieces == 1 ? kFewRowsMaxThreads : kManyRowsMaxThreads)
    RmsNormKernel(const RmsNormArgs args) {
  LetNextStart();
  using Piece = Packed<T>;
  const int row_pieces = args.hidden_size / Piece::kSize;
  const Piece* weight = static_cast<const Piece*>(args.weight);
  Piece w[kPieces] = {};
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    const int i = threadIdx.x + j * blockDim.x;
    if (i < row_pieces) w[j] = weight[i];
  }

  WaitForPrevious();
  const int token = blockIdx.x * blockDim.y + threadIdx.y;
  int row = -1;
  if (token < args.num_tokens) row = args.rows == nullptr ? token : args.rows[token];
  const Piece* x = static_cast<const Piece*>(args.x) + int64_t{row} * row_pieces;
  Piece pieces[kPieces] = {};
  if (row >= 0) {
#pragma unroll
    for (int j = 0; j < kPieces; ++j) {
      const int i = threadIdx.x + j * blockDim.x;
      if (i < row_pieces) pieces[j] = x[i];
    }
  }
  float squares = 0;
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    float values[Piece::kSize];
    Unpack(pieces[j], values);
#pragma unroll
    for (float value : values) squares += value * value;
  }
  const float scale = rsqrtf(RowSum(squares) / args.hidden_size + args.epsilon);
  if (token >= args.num_tokens) return;
  Piece* out = static_cast<Piece*>(args.out) + int64_t{token} * row_pieces;
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    const int i = threadIdx.x + j * blockDim.x;
    float values[Piece::kSize], factors[Piece::kSize];
    Unpack(pieces[j], values);
    Unpack(w[j], factors);
#pragma unroll
    for (int k = 0; k < Piece::kSize; ++k) values[k] = values[k] * scale * factors[k];
    Pack(values, pieces[j]);
    if (i < row_pieces) out[i] = pieces[j];
  }
}

template <class T, int kPieces>
cudaError_t LaunchRows(const RmsNormArgs& args, int row_pieces, int block_threads,
                       cudaStream_t stream) {
  const int warps = (row_pieces + kWarp * kPieces - 1) / (kWarp * kPieces);
  const int rows = std::max(1, block_threads / (warps * kWarp));
  const Grid grid = {.blocks = dim3((args.num_tokens + rows - 1) / rows),
                     .threads = dim3(warps * kWarp, rows)};
  return Launch(RmsNormKernel<T, kPieces>, grid, stream, args);
}

template <class T>
cudaError_t RmsNormOf(const RmsNormArgs& args, cudaStream_t stream) {
  constexpr int kSize = Packed<T>::kSize;
  const int row_pieces = args.hidden_size / kSize;
  if (args.hidden_size <= 0 || args.hidden_size % kSize != 0) return cudaErrorInvalidValue;
  if (row_pieces > kMaxNormBytes / 16) return cudaErrorInvalidValue;
  if (args.num_tokens < kManyRows && row_pieces <= kFewRowsMaxThreads) {
    return LaunchRows<T, kFewRowsPieces>(args, row_pieces, 1, stream);
  }
  return LaunchRows<T, kManyRowsPieces>(args, row_pieces, kManyRowsThreads, stream);
}

}  // namespace

cudaError_t RmsNorm(const RmsNormArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return cudaSuccess;
  return ForType(args.dtype, [&](auto type) { return RmsNormOf<decltype(type)>(args, stream); });
}

}  // namespace weft::worker::ops::cuda
