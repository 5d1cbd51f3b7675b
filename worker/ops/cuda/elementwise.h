// What happens to each number of a step by itself.
//
// T: tokens of the step. Rows are contiguous and 16-byte aligned, and a row is a
// multiple of 16 bytes. All pointers are device memory; ids and positions are read
// by the kernels, so that a captured graph sees new contents. Launched with Launch
// (launch.cuh): nothing but what no kernel writes is read before the kernels ahead
// have ended. T = 0 launches nothing. Sizes that do not fit are
// cudaErrorInvalidValue; else the launch's error.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

// out[t] = table[ids[t]]; id -1 (padding) gives zeros.  table: [V, H], ids: [T] below
// V, out: [T, H], both of `dtype`.
struct EmbeddingArgs {
  DType dtype = DType::kBFloat16;
  const void* table = nullptr;
  const int32_t* ids = nullptr;
  void* out = nullptr;
  int num_tokens = 0;   // T
  int hidden_size = 0;  // H
};
cudaError_t Embedding(const EmbeddingArgs& args, cudaStream_t stream);

// out = silu(gate) * up, silu(x) = x / (1 + exp(-x)), in fp32, rounded once.
// gate_up: [T, 2 I], gate first; out: [T, I], both of `dtype`, distinct. What 16-bit
// types round away is not computed: the exponential is the fast one there.
struct SiluMulArgs {
  DType dtype = DType::kBFloat16;
  const void* gate_up = nullptr;
  void* out = nullptr;
  int num_tokens = 0;         // T
  int intermediate_size = 0;  // I
};
cudaError_t SiluMul(const SiluMulArgs& args, cudaStream_t stream);

// cos[t][i], sin[t][i] of positions[t] * inverse_frequencies[i], the product in fp32
// as transformers rounds it, accurate at any angle. Position -1 (padding) counts as 0.
// positions: [T], inverse_frequencies: [D / 2], cos and sin: [T, D / 2] float;
// D / 2 a multiple of 4. Starts when all before it has ended: see launch.cuh.
struct RotaryAnglesArgs {
  const int32_t* positions = nullptr;
  const float* inverse_frequencies = nullptr;
  float* cos = nullptr;
  float* sin = nullptr;
  int num_tokens = 0;  // T
  int head_dim = 0;    // D
};
cudaError_t RotaryAngles(const RotaryAnglesArgs& args, cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
