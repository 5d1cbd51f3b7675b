// Bulk copies from global to shared memory that complete on an mbarrier (sm_90).
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace weft::worker::ops::cuda {

__device__ __forceinline__ uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// An mbarrier in shared memory, by address. A phase ends when `arrivals` have come
// and all expected bytes are there.
__device__ __forceinline__ void InitBarrier(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// After InitBarrier, by the thread that did it, before other threads or copies use it.
__device__ __forceinline__ void PublishBarriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void Arrive(uint32_t barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }" ::"r"(barrier)
               : "memory");
}

__device__ __forceinline__ void ArriveExpecting(uint32_t barrier, int bytes) {
  asm volatile(
      "{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }" ::"r"(
          barrier),
      "r"(bytes)
      : "memory");
}

// Returns when the phase of that parity has ended.
__device__ __forceinline__ void WaitBarrier(uint32_t barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

// `bytes`, a multiple of 16; both addresses 16-byte aligned.
__device__ __forceinline__ void CopyBulk(uint32_t to_shared, const void* from, int bytes,
                                         uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to_shared),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}

// A tensor map's first use waits for the map itself unless it was asked for before.
__device__ __forceinline__ void PrefetchMap(const void* tensor_map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(tensor_map) : "memory");
}

// The box of a three-dimensional tensor map at (x, y, z), inner dimension first. The
// whole box counts as bytes, what lies outside the tensor as zeros.
__device__ __forceinline__ void CopyBox(uint32_t to_shared, const void* tensor_map, int x, int y,
                                        int z, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to_shared),
      "l"(tensor_map), "r"(x), "r"(y), "r"(z), "r"(barrier)
      : "memory");
}

}  // namespace weft::worker::ops::cuda
