#include <algorithm>

#include "worker/ops/cuda/dummy_weights.h"
#include "worker/ops/cuda/packed.cuh"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;  // each then walks on

__device__ __forceinline__ uint64_t SplitMix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Product and sum are rounded one by one, as on the host: no fused multiply-add.
__device__ __forceinline__ float NumberAt(const DummyNumbers& numbers, uint64_t i) {
  const auto top = static_cast<int>(SplitMix64(numbers.key + i) >> 40);
  const float u = __fadd_rn(__fmul_rn(static_cast<float>(top), 0x1p-23f), -1.0f);
  return __fadd_rn(numbers.center, __fmul_rn(u, numbers.half_width));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    FillKernel(const DummyNumbers numbers, int64_t count, T* out) {
  constexpr int kSize = Packed<T>::kSize;
  const int64_t stride = int64_t{gridDim.x} * kThreads * kSize;
  int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kSize;
  for (; i < count; i += stride) {
    float values[kSize];
#pragma unroll
    for (int j = 0; j < kSize; ++j) values[j] = NumberAt(numbers, i + j);
    Packed<T> piece;
    Pack(values, piece);
    if (i + kSize <= count) {
      *reinterpret_cast<Packed<T>*>(out + i) = piece;
      continue;
    }
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      if (i + j < count) out[i + j] = piece.values[j];
    }
  }
}

template <class T>
cudaError_t Fill(const DummyNumbers& numbers, int64_t count, void* out, cudaStream_t stream) {
  const int64_t per_block = kThreads * Packed<T>::kSize;
  const int64_t blocks = std::min(kMaxBlocks, (count + per_block - 1) / per_block);
  FillKernel<T><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(numbers, count,
                                                                        static_cast<T*>(out));
  return cudaGetLastError();
}

}  // namespace

cudaError_t FillWithDummy(const DummyNumbers& numbers, DType dtype, int64_t count, void* out,
                          cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return ForType(dtype,
                 [&](auto type) { return Fill<decltype(type)>(numbers, count, out, stream); });
}

}  // namespace weft::worker::ops::cuda
