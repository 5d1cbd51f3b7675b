// RMSNorm of rows of the residual stream, each by itself.
//
//   out[t] = x[r] / rms(x[r]) * weight,  rms(v) = sqrt(mean(v^2) + epsilon)
//   r = rows[t], or t without rows
//
// x: [any, H], out: [T, H], weight: [H], all of `dtype`, rows contiguous, 16-byte
// aligned; H a multiple of 16 bytes' worth of numbers, at most kMaxNormBytes. All in
// fp32, rounded once. rows: [T] device memory; -1 gives a row of zeros. out may be
// x where there are no rows. A zero row stays zero.
//
// Launched with Launch (launch.cuh): before the kernels ahead of it have ended it
// reads `weight`, which none of them may write. T = 0 launches nothing. A size that
// it does not take is cudaErrorInvalidValue; else the launch's error.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

inline constexpr int kMaxNormBytes = 64 << 10;  // of a row

struct RmsNormArgs {
  DType dtype = DType::kBFloat16;
  const void* x = nullptr;
  const int32_t* rows = nullptr;
  const void* weight = nullptr;
  void* out = nullptr;
  int num_tokens = 0;   // T
  int hidden_size = 0;  // H
  float epsilon = 0;
};

cudaError_t RmsNorm(const RmsNormArgs& args, cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
