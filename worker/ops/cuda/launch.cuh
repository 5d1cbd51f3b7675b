// Launching kernels that overlap with the one before them in the stream
// (programmatic dependent launch, sm_90 and newer; elsewhere plain launches).
//
// Every kernel of a step is launched with Launch and obeys two rules. Before
// WaitForPrevious it touches only what no kernel of the step writes, such as weights. And
// every kernel does wait, in every block, whatever it has to do: the next kernel's
// WaitForPrevious returns when this one has ended and its writes are visible, and so, one
// by one, for all before. LetNextStart may be called as early as one likes.
//
// RotaryAngles, behind the kernels that prepare a step, does not overlap with them: who
// comes after it may take as written, even before WaitForPrevious, what they wrote (the
// arrays of ops::Batch) and all KV of earlier steps.
#pragma once

#include <cuda_runtime.h>

namespace weft::worker::ops::cuda {

struct Grid {
  dim3 blocks;
  dim3 threads;
  size_t shared_bytes = 0;  // dynamic
  int cluster_blocks = 1;   // along x
  bool overlaps = true;     // may start before the kernel in front has ended
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
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = grid.overlaps ? 1 : 0;
  config.numAttrs = 1;
  if (grid.cluster_blocks > 1) {
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = grid.cluster_blocks;
    attributes[1].val.clusterDim.y = 1;
    attributes[1].val.clusterDim.z = 1;
    config.numAttrs = 2;
  }
  config.attrs = attributes;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace weft::worker::ops::cuda
