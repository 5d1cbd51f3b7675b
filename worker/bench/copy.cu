#include "worker/bench/copy.h"

namespace weft::worker {
namespace {

__global__ void CopyKernel(const uint4* from, uint4* to, int64_t count) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; i + 3 * stride < count; i += 4 * stride) {
    const uint4 a = __ldcs(from + i), b = __ldcs(from + i + stride);
    const uint4 c = __ldcs(from + i + 2 * stride), d = __ldcs(from + i + 3 * stride);
    __stcs(to + i, a);
    __stcs(to + i + stride, b);
    __stcs(to + i + 2 * stride, c);
    __stcs(to + i + 3 * stride, d);
  }
  for (; i < count; i += stride) to[i] = from[i];
}

}  // namespace

cudaError_t Copy(const void* from, void* to, int64_t bytes, int num_sms, cudaStream_t stream) {
  CopyKernel<<<num_sms * 4, 512, 0, stream>>>(static_cast<const uint4*>(from),
                                              static_cast<uint4*>(to), bytes / 16);
  return cudaGetLastError();
}

}  // namespace weft::worker
