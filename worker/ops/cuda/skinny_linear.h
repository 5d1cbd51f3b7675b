// A matrix product for few tokens, which is all about reading the weight once at
// the speed of the memory: out[T, N] = f(x[T, K] . weight[N, K]^T).
//
// Around the product, so that a layer at batch 1 is five kernels:
//   before   x is normalized (norm_weight given): x / rms(x) * norm_weight, rounded
//            to the model's type
//   after    one of Epilogue
//
// One block a multiprocessor owns a range of the weight's rows. A producer thread
// streams them through a ring in shared memory with tensor copies, and starts before
// the kernel in front has ended: weights do not depend on it. Eight consumer warps
// share each piece by its K and multiply on tensor cores, weight rows as M, tokens
// as N: 1 to 8 tokens cost the same. Sums are in fp32.
//
// bf16 or fp16; 1 <= T <= kMaxSkinnyTokens; K a multiple of 64; all pointers 16-byte
// aligned; needs has_tensor_copies.
#pragma once

#include <cuda_runtime.h>

#include "worker/ops/cuda/device_features.h"
#include "worker/ops/cuda/linear.h"

namespace weft::worker::ops::cuda {

inline constexpr int kMaxSkinnyTokens = 16;

// Whether the device has the kernel and it takes this shape: x must fit shared memory.
bool FitsSkinnyLinear(const LinearArgs& args, const DeviceFeatures& device);

// Once per process, before the first launch or capture.
cudaError_t PrepareSkinnyLinear(const DeviceFeatures& device);

cudaError_t SkinnyLinear(const LinearArgs& args, const DeviceFeatures& device, cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
