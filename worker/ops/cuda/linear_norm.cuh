// A norm inside of a product. rms(x) is one number a token: the product is of x * norm_weight,
// and what a token's sums are to be multiplied with is found meanwhile.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "worker/ops/cuda/linear.h"
#include "worker/ops/cuda/numbers.cuh"

namespace weft::worker::ops::cuda {

// Half precision ends at 65504, which x * norm_weight may pass before it is divided by
// rms(x): it is kept this much smaller, a power of two, until the sums are scaled.
template <class T>
constexpr float kPrescale = 1;
template <>
constexpr float kPrescale<__half> = 1.0f / 64;

// pair = pair * weight; returns the sum of both squares before.
template <class T>
__device__ __forceinline__ float WeighAndSquare(uint32_t weight, uint32_t& pair) {
  const float2 x = UnpackPair<T>(pair), by = UnpackPair<T>(weight);
  pair = PackPair<T>(x.x * by.x * kPrescale<T>, x.y * by.y * kPrescale<T>);
  return x.x * x.x + x.y * x.y;
}

// `squares`: of all of a token's x.
template <class T>
__device__ __forceinline__ float NormScale(const LinearArgs& a, float squares) {
  return rsqrtf(squares / a.k + a.epsilon) / kPrescale<T>;
}

}  // namespace weft::worker::ops::cuda
