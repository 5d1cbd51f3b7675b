// Sixteen bytes of numbers: what a thread loads or stores at once, and their
// values in fp32.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

template <class T>
struct alignas(16) Packed {
  static constexpr int kSize = 16 / sizeof(T);
  T values[kSize];
};

// Calls `call` with a value of the type that `dtype` names.
template <class Call>
cudaError_t ForType(DType dtype, Call call) {
  switch (dtype) {
    case DType::kFloat32:
      return call(float{});
    case DType::kBFloat16:
      return call(__nv_bfloat16{});
    case DType::kFloat16:
      return call(__half{});
  }
  return cudaErrorInvalidValue;
}

#ifdef __CUDACC__
__device__ __forceinline__ void Unpack(const Packed<float>& from, float (&to)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = from.values[i];
}

__device__ __forceinline__ void Unpack(const Packed<__nv_bfloat16>& from, float (&to)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) to[i] = __bfloat162float(from.values[i]);
}

__device__ __forceinline__ void Unpack(const Packed<__half>& from, float (&to)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) to[i] = __half2float(from.values[i]);
}

// Rounds to nearest even.
__device__ __forceinline__ void Pack(const float (&from)[4], Packed<float>& to) {
#pragma unroll
  for (int i = 0; i < 4; ++i) to.values[i] = from[i];
}

__device__ __forceinline__ void Pack(const float (&from)[8], Packed<__nv_bfloat16>& to) {
  __nv_bfloat162* pairs = reinterpret_cast<__nv_bfloat162*>(&to);
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(from[2 * i], from[2 * i + 1]);
}

__device__ __forceinline__ void Pack(const float (&from)[8], Packed<__half>& to) {
  __half2* pairs = reinterpret_cast<__half2*>(&to);
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(from[2 * i], from[2 * i + 1]);
}
#endif

}  // namespace weft::worker::ops::cuda
