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
// bf16 or fp16; 1 <= T <= MaxSkinnyTokens; K a multiple of 64; all pointers 16-byte
// aligned; needs has_tensor_copies.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/cuda/device_features.h"
#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

enum class Epilogue {
  kStore,    // out = product + bias (if given)
  kAdd,      // out += product
  kSiluMul,  // weight is [2 N, K], gate first: out = silu(gate . x) * (up . x)
  kFloat,    // out = product, float32
};

struct SkinnyLinearArgs {
  DType dtype = DType::kBFloat16;
  Epilogue epilogue = Epilogue::kStore;
  int num_tokens = 0;  // T
  int n = 0, k = 0;    // columns of out, columns of x

  const void* x = nullptr;
  const void* norm_weight = nullptr;  // [K], not with kAdd
  float epsilon = 0;
  const void* weight = nullptr;
  const void* bias = nullptr;  // [N], kStore only
  void* out = nullptr;         // [T, N]; never x
};

// Beyond so many tokens cuBLASLt is faster (measured on an H200): for kAdd, where a block
// has one tile and needs each number of x once, later than for the others.
constexpr int MaxSkinnyTokens(Epilogue epilogue) { return epilogue == Epilogue::kAdd ? 32 : 16; }

// Whether the device has the kernel and it takes this shape: x must fit shared memory.
bool FitsSkinnyLinear(const SkinnyLinearArgs& args, const DeviceFeatures& device);

// Once per process, before the first launch or capture.
cudaError_t PrepareSkinnyLinear(const DeviceFeatures& device);

cudaError_t SkinnyLinear(const SkinnyLinearArgs& args, const DeviceFeatures& device,
                         cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
