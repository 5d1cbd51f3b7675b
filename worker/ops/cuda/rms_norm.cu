#include "worker/ops/cuda/rms_norm.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kVector = 8;  // bf16 in one 16-byte load
// A block walks its row in strides; 256 threads cover H = 2048 in one.
constexpr int kThreads = 256;

struct alignas(16) Vector {
  __nv_bfloat16 values[kVector];
};

__device__ float WarpSum(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffff, value, offset);
  }
  return value;
}

// Every thread gets the sum over the block.
__device__ float BlockSum(float value) {
  __shared__ float partial[kThreads / kWarp];
  value = WarpSum(value);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = threadIdx.x % kWarp < kThreads / kWarp ? partial[threadIdx.x % kWarp] : 0.0f;
  return WarpSum(value);
}

// One block a row. The row's sums stay in shared memory in fp32 between the two
// passes, so that global memory is read once.
__global__ void AddRmsNormKernel(const __nv_bfloat16* x, __nv_bfloat16* residual,
                                 const __nv_bfloat16* weight, __nv_bfloat16* out, int hidden_size,
                                 float epsilon) {
  extern __shared__ float row[];  // [H]
  const int64_t start = static_cast<int64_t>(blockIdx.x) * hidden_size;
  float squares = 0;
  for (int i = threadIdx.x * kVector; i < hidden_size; i += kThreads * kVector) {
    Vector sum = *reinterpret_cast<const Vector*>(residual + start + i);
    Vector add;
    if (x != nullptr) add = *reinterpret_cast<const Vector*>(x + start + i);
    for (int j = 0; j < kVector; ++j) {
      float value = __bfloat162float(sum.values[j]);
      if (x != nullptr) value += __bfloat162float(add.values[j]);
      row[i + j] = value;
      squares += value * value;
      sum.values[j] = __float2bfloat16(value);
    }
    if (x != nullptr) *reinterpret_cast<Vector*>(residual + start + i) = sum;
  }
  const float scale = rsqrtf(BlockSum(squares) / hidden_size + epsilon);
  for (int i = threadIdx.x * kVector; i < hidden_size; i += kThreads * kVector) {
    const Vector w = *reinterpret_cast<const Vector*>(weight + i);
    Vector result;
    for (int j = 0; j < kVector; ++j) {
      result.values[j] = __float2bfloat16(row[i + j] * scale * __bfloat162float(w.values[j]));
    }
    *reinterpret_cast<Vector*>(out + start + i) = result;
  }
}

}  // namespace

cudaError_t AddRmsNorm(const __nv_bfloat16* x, __nv_bfloat16* residual, const __nv_bfloat16* weight,
                       __nv_bfloat16* out, NormDims dims, float epsilon, cudaStream_t stream) {
  if (dims.num_tokens == 0) return cudaSuccess;
  const size_t shared_bytes = sizeof(float) * dims.hidden_size;
  AddRmsNormKernel<<<dims.num_tokens, kThreads, shared_bytes, stream>>>(x, residual, weight, out,
                                                                        dims.hidden_size, epsilon);
  return cudaGetLastError();
}

}  // namespace weft::worker::ops::cuda
