// Numbers of 8, 16 and 32 bits on the device, and the rotation of positions.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "worker/ops/cuda/kv_layout.h"

namespace weft::worker::ops::cuda {

inline constexpr int kWarpLanes = 32;
inline constexpr unsigned kAllLanes = 0xffffffff;
inline constexpr float kLog2E = 1.4426950408889634f;

// ---- numbers ----

__device__ __forceinline__ float ToFloat(float x) { return x; }
__device__ __forceinline__ float ToFloat(__half x) { return __half2float(x); }
__device__ __forceinline__ float ToFloat(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ __forceinline__ T FromFloat(float x);
template <>
__device__ __forceinline__ float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ __half FromFloat<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 FromFloat<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// x rounded to T, as a float.
template <class T>
__device__ __forceinline__ float RoundTo(float x) {
  return ToFloat(FromFloat<T>(x));
}

// Two neighbouring 16-bit elements in a register. T: __half or __nv_bfloat16.
template <class T>
__device__ __forceinline__ uint32_t PackPair(float low, float high);
template <>
__device__ __forceinline__ uint32_t PackPair<__half>(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
template <>
__device__ __forceinline__ uint32_t PackPair<__nv_bfloat16>(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

template <class T>
__device__ __forceinline__ float2 UnpackPair(uint32_t pair);
template <>
__device__ __forceinline__ float2 UnpackPair<__half>(uint32_t pair) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}
template <>
__device__ __forceinline__ float2 UnpackPair<__nv_bfloat16>(uint32_t pair) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&pair));
}

// ---- fp8 (e4m3) ----

// A row's scale, and what its elements are multiplied with before rounding. A row of
// zeros has scale 0.
struct Fp8Scale {
  float scale;
  float inverse;
};
__device__ __forceinline__ Fp8Scale Fp8ScaleOf(float largest_magnitude) {
  return {largest_magnitude / kFp8Max, largest_magnitude > 0 ? kFp8Max / largest_magnitude : 0.0f};
}

__device__ __forceinline__ uint16_t PackFp8Pair(float low, float high) {
  return __nv_cvt_float2_to_fp8x2(make_float2(low, high), __NV_SATFINITE, __NV_E4M3);
}

// The register's lower two bytes; exact.
__device__ __forceinline__ uint32_t Fp8PairToHalves(uint32_t pair) {
  const __half2_raw halves =
      __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(pair), __NV_E4M3);
  return static_cast<uint32_t>(halves.x) | static_cast<uint32_t>(halves.y) << 16;
}

__device__ __forceinline__ float Fp8ToFloat(uint8_t x) {
  return __half2float(__half(__nv_cvt_fp8_to_halfraw(x, __NV_E4M3)));
}

// ---- rotary embedding ----

// Rotates elements d and d + D/2 of a query or key. Spelled out so that every kernel
// rounds alike, whatever the compiler would contract.
__device__ __forceinline__ void Rotate(float& low, float& high, float cos, float sin) {
  const float x = low, y = high;
  low = fmaf(-y, sin, __fmul_rn(x, cos));
  high = fmaf(x, sin, __fmul_rn(y, cos));
}

}  // namespace weft::worker::ops::cuda
