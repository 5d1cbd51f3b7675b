#include <algorithm>

#include "worker/ops/cuda/elementwise.h"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/packed.cuh"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kThreads = 128;

// Tokens along x, which has no limit that a step could meet; pieces of a row along y.
Grid RowGrid(int num_tokens, int row_pieces, int pieces_per_block, int threads) {
  return {.blocks = dim3(num_tokens, (row_pieces + pieces_per_block - 1) / pieces_per_block),
          .threads = dim3(threads)};
}

constexpr int kWarp = 32;
constexpr int kEmbeddingThreads = 256;  // at most: most rows are then one block's

// A copy of rows: the numbers' type does not matter.
__global__ void __launch_bounds__(kEmbeddingThreads)
    EmbeddingKernel(const uint4* table, const int32_t* ids, uint4* out, int row_pieces) {
  LetNextStart();
  WaitForPrevious();
  const int i = blockIdx.y * blockDim.x + threadIdx.x;
  if (i >= row_pieces) return;
  const int64_t id = ids[blockIdx.x];
  uint4 piece = {};
  if (id >= 0) piece = __ldg(table + id * row_pieces + i);
  out[int64_t{blockIdx.x} * row_pieces + i] = piece;
}

template <class T>
__device__ __forceinline__ float Silu(float x) {
  if constexpr (sizeof(T) == 2) return __fdividef(x, 1.0f + __expf(-x));
  return x / (1.0f + expf(-x));
}

template <class T>
__device__ __forceinline__ Packed<T> SiluMulPiece(const Packed<T>& gate, const Packed<T>& up) {
  float g[Packed<T>::kSize], u[Packed<T>::kSize];
  Unpack(gate, g);
  Unpack(up, u);
#pragma unroll
  for (int i = 0; i < Packed<T>::kSize; ++i) g[i] = Silu<T>(g[i]) * u[i];
  Packed<T> out;
  Pack(g, out);
  return out;
}

// Pieces of a row that a thread takes: two loads in flight for each.
constexpr int kSiluPieces = 2;

template <class T, int kPieces>
__global__ void __launch_bounds__(kThreads)
    SiluMulKernel(const Packed<T>* gate_up, Packed<T>* out, int row_pieces) {
  LetNextStart();
  WaitForPrevious();
  const int first = blockIdx.y * kThreads * kPieces + threadIdx.x;
  const Packed<T>* row = gate_up + int64_t{blockIdx.x} * 2 * row_pieces;
  Packed<T>* out_row = out + int64_t{blockIdx.x} * row_pieces;
  Packed<T> gate[kPieces], up[kPieces];
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    const int i = first + j * kThreads;
    if (i >= row_pieces) break;
    gate[j] = row[i];
    up[j] = row[row_pieces + i];
  }
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    const int i = first + j * kThreads;
    if (i >= row_pieces) break;
    out_row[i] = SiluMulPiece(gate[j], up[j]);
  }
}

template <class T>
cudaError_t SiluMulOf(const SiluMulArgs& args, cudaStream_t stream) {
  if (args.intermediate_size <= 0 || args.intermediate_size % Packed<T>::kSize != 0) {
    return cudaErrorInvalidValue;
  }
  const int row_pieces = args.intermediate_size / Packed<T>::kSize;
  const Packed<T>* gate_up = static_cast<const Packed<T>*>(args.gate_up);
  Packed<T>* out = static_cast<Packed<T>*>(args.out);
  return Launch(SiluMulKernel<T, kSiluPieces>,
                RowGrid(args.num_tokens, row_pieces, kThreads * kSiluPieces, kThreads), stream,
                gate_up, out, row_pieces);
}

// A thread takes four angles of a token: one 16-byte store for each output.
__global__ void __launch_bounds__(kThreads) RotaryAnglesKernel(const RotaryAnglesArgs args) {
  LetNextStart();
  const int row_pieces = args.head_dim / 8;
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t token = at / row_pieces;
  if (token >= args.num_tokens) return;
  const int piece = static_cast<int>(at % row_pieces);
  const float4 f = reinterpret_cast<const float4*>(args.inverse_frequencies)[piece];
  WaitForPrevious();
  const float position = static_cast<float>(max(args.positions[token], 0));
  float4 cos, sin;
  sincosf(position * f.x, &sin.x, &cos.x);
  sincosf(position * f.y, &sin.y, &cos.y);
  sincosf(position * f.z, &sin.z, &cos.z);
  sincosf(position * f.w, &sin.w, &cos.w);
  reinterpret_cast<float4*>(args.cos)[at] = cos;
  reinterpret_cast<float4*>(args.sin)[at] = sin;
}

}  // namespace

cudaError_t Embedding(const EmbeddingArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return cudaSuccess;
  const int64_t row_bytes = args.hidden_size * BytesOf(args.dtype);
  if (row_bytes <= 0 || row_bytes % sizeof(uint4) != 0) return cudaErrorInvalidValue;
  const int row_pieces = static_cast<int>(row_bytes / sizeof(uint4));
  const int threads = std::min(kEmbeddingThreads, (row_pieces + kWarp - 1) / kWarp * kWarp);
  return Launch(EmbeddingKernel, RowGrid(args.num_tokens, row_pieces, threads, threads), stream,
                static_cast<const uint4*>(args.table), args.ids, static_cast<uint4*>(args.out),
                row_pieces);
}

cudaError_t SiluMul(const SiluMulArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return cudaSuccess;
  return ForType(args.dtype, [&](auto type) { return SiluMulOf<decltype(type)>(args, stream); });
}

cudaError_t RotaryAngles(const RotaryAnglesArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return cudaSuccess;
  if (args.head_dim <= 0 || args.head_dim % 8 != 0) return cudaErrorInvalidValue;
  const int64_t pieces = int64_t{args.num_tokens} * (args.head_dim / 8);
  const Grid grid = {.blocks = dim3(static_cast<unsigned>((pieces + kThreads - 1) / kThreads)),
                     .threads = dim3(kThreads),
                     .overlaps = false};
  return Launch(RotaryAnglesKernel, grid, stream, args);
}

}  // namespace weft::worker::ops::cuda
