// Fused residual add and RMSNorm, the step between a layer's halves.
//
//   sum[t]  = x[t] + residual[t]           written back to residual
//   out[t]  = sum[t] / rms(sum[t]) * weight,  rms(v) = sqrt(mean(v^2) + epsilon)
//
// x, residual, out: [T, H] bf16, rows contiguous, 16-byte aligned; weight: [H]
// bf16, 16-byte aligned; H a multiple of 8. x == nullptr adds nothing (the first
// norm). out may be x, not residual. The sum is rounded to bf16 before it is
// stored, and the norm is taken of the unrounded sum, in fp32. A zero row stays
// zero. T = 0 launches nothing. Returns cudaGetLastError after the launch.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace weft::worker::ops::cuda {

struct NormDims {
  int num_tokens = 0;   // T
  int hidden_size = 0;  // H
};

cudaError_t AddRmsNorm(const __nv_bfloat16* x, __nv_bfloat16* residual, const __nv_bfloat16* weight,
                       __nv_bfloat16* out, NormDims dims, float epsilon, cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
