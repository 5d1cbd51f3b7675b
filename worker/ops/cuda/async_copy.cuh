// Copies from global to shared memory that complete on an mbarrier. Barriers are named by
// their shared address, which rings of them compute, or by pointer. Only SharedAddress is
// for code before sm_90 too.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace weft::worker::ops::cuda {

__device__ __forceinline__ uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// A phase ends when `num_arrivals` have come and all expected bytes are there.
__device__ __forceinline__ void InitBarrier(uint32_t barrier, int num_arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(num_arrivals)
               : "memory");
}
__device__ __forceinline__ void InitBarrier(uint64_t* barrier, int num_arrivals) {
  InitBarrier(SharedAddress(barrier), num_arrivals);
}

// After InitBarrier, by the thread that called it, before other threads learn of it.
__device__ __forceinline__ void PublishBarriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void Arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void Arrive(uint64_t* barrier) { Arrive(SharedAddress(barrier)); }

// Arrives, and makes the phase wait for this many more bytes.
__device__ __forceinline__ void ArriveExpectingBytes(uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void ArriveExpectingBytes(uint64_t* barrier, int bytes) {
  ArriveExpectingBytes(SharedAddress(barrier), bytes);
}

// Returns when the phase of this parity (0 first, then alternating) is complete.
__device__ __forceinline__ void WaitBarrier(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n"
        "  .reg .pred done;\n"
        "  mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
        "  selp.u32 %0, 1, 0, done;\n"
        "}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
  }
}
__device__ __forceinline__ void WaitBarrier(uint64_t* barrier, uint32_t parity) {
  WaitBarrier(SharedAddress(barrier), parity);
}

// By one thread. Both addresses and the size are multiples of 16.
__device__ __forceinline__ void CopyBulk(void* shared, const void* global, int bytes,
                                         uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(SharedAddress(shared)),
      "l"(global), "r"(bytes), "r"(SharedAddress(barrier))
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

// The same box to the same place in each block of the cluster that `blocks` has a bit for,
// and counted at the same barrier of each.
__device__ __forceinline__ void CopyBoxToBlocks(uint32_t to_shared, const void* tensor_map, int x,
                                                int y, int z, uint32_t barrier, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%2, %3, %4}], [%5], %6;" ::"r"(to_shared),
      "l"(tensor_map), "r"(x), "r"(y), "r"(z), "r"(barrier), "h"(blocks)
      : "memory");
}

// Between ordinary writes to shared memory and what the copy engine does there next.
__device__ __forceinline__ void FenceSharedForCopies() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

}  // namespace weft::worker::ops::cuda
