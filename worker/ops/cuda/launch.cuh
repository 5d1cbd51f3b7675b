// Launching kernels that overlap with the one before them in the stream
// (programmatic dependent launch, sm_90 and newer; elsewhere plain launches, and
// WaitForPrevious and LetNextStart do nothing).
//
// Every kernel of ours in a step is launched with Launch and obeys two rules. Before
// WaitForPrevious it touches only what no kernel of the step writes, such as weights. And
// every kernel does wait, in every block, whatever it has to do: the next kernel's
// WaitForPrevious returns when this one has ended and its writes are visible, and so, one
// by one, for all before. LetNextStart may be called as early as one likes. (cuBLASLt's
// kernels are launched plainly: they start when all in front has ended, and have ended
// before what follows starts.)
//
// RotaryAngles, behind the kernels that prepare a step, does not overlap with them: who
// comes after it may take as written, even before WaitForPrevious, what they wrote (the
// arrays of ops::Batch) and all KV of earlier steps.
#pragma once

#include <cuda_runtime.h>

#include "worker/ops/cuda/device_features.h"

namespace weft::worker::ops::cuda {

struct Grid {
  dim3 blocks;
  dim3 threads;
  size_t shared_bytes = 0;  // dynamic
  int cluster_blocks = 1;   // along x
  bool overlaps = true;     // may start before the kernel in front has ended, where that exists
};

#ifdef __CUDACC__
__device__ __forceinline__ void WaitForPrevious() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void LetNextStart() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
#endif

// A kernel that takes more than 48 KiB of dynamic shared memory needs
// AllowSharedBytes once before its first launch.
template <class... Parameters>
cudaError_t AllowSharedBytes(void (*kernel)(Parameters...), size_t bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                              cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

template <class... Parameters, class... Arguments>
cudaError_t Launch(void (*kernel)(Parameters...), const Grid& grid, cudaStream_t stream,
                   Arguments&&... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = stream;
  cudaLaunchAttribute attributes[2] = {};
  config.attrs = attributes;
  if (CurrentDevice().has_overlap()) {
    cudaLaunchAttribute& overlap = attributes[config.numAttrs++];
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = grid.overlaps ? 1 : 0;
  }
  if (grid.cluster_blocks > 1) {
    cudaLaunchAttribute& cluster = attributes[config.numAttrs++];
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = grid.cluster_blocks;
    cluster.val.clusterDim.y = 1;
    cluster.val.clusterDim.z = 1;
  }
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace weft::worker::ops::cuda
