// Blocks of a cluster (Grid::cluster_blocks), which read and write each other's shared
// memory; sm_90 and newer.
#pragma once

#include <cstdint>

#include "worker/ops/cuda/async_copy.cuh"

namespace weft::worker::ops::cuda {

// A block among those of its cluster.
__device__ __forceinline__ int ClusterRank() {
  int rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ int ClusterSize() {
  int size;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}

// Arrive, then Wait, once: all of the cluster's threads have come here. Makes no writes
// visible but barriers' beginnings.
__device__ __forceinline__ void ClusterArrive() {
  asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
}
__device__ __forceinline__ void ClusterWait() {
  asm volatile("barrier.cluster.wait;" ::: "memory");
}

// Waits for all threads of the cluster that have not ended; their writes to shared
// memory are visible.
__device__ __forceinline__ void SyncCluster() {
  asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");
}

// The address, in the cluster's, of what block `rank` has where this one has `own`.
__device__ __forceinline__ uint32_t PeerAddress(uint32_t own, int rank) {
  uint32_t address;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(own), "r"(rank));
  return address;
}

// Arrives at the barrier that block `rank` has where this one has `own`. For what copies
// and multiplies have done with shared memory: it makes no ordinary writes visible to other
// blocks, which would flush memory each time (half a microsecond).
__device__ __forceinline__ void ArriveAtPeer(uint32_t own, int rank) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(PeerAddress(own, rank))
               : "memory");
}

// Blocks talk by writes into each other's shared memory that count themselves in at a
// barrier there; the reader waits for the bytes that it expects. (A barrier of the whole
// cluster that made writes visible would flush memory and the L1 cache.)
//
// In shared memory; round after round, each expecting a number of bytes.
struct Inbox {
  uint64_t state;

  // By one thread, which then says Expect for every round once the last is over.
  __device__ void Init() {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(SharedAddress(this)) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __device__ void Expect(int bytes) {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(this)),
        "r"(bytes)
        : "memory");
  }
  // Any thread; rounds count from 0.
  __device__ __forceinline__ void Wait(int round) {
    uint32_t is_over = 0;
    while (is_over == 0) {
      asm volatile(
          "{\n"
          ".reg .pred p;\n"
          "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
          "selp.u32 %0, 1, 0, p;\n"
          "}"
          : "=r"(is_over)
          : "r"(SharedAddress(this)), "r"(round & 1)
          : "memory");
    }
  }
};

// Writes `value` to where `to` is in another block of the cluster.
__device__ __forceinline__ void Send(uint64_t* to, Inbox& inbox, int rank, uint64_t value) {
  asm volatile(
      "{\n"
      ".reg .b32 to, inbox;\n"
      "mapa.shared::cluster.u32 to, %0, %2;\n"
      "mapa.shared::cluster.u32 inbox, %1, %2;\n"
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [to], %3, [inbox];\n"
      "}" ::"r"(SharedAddress(to)),
      "r"(SharedAddress(&inbox)), "r"(rank), "l"(value)
      : "memory");
}

}  // namespace weft::worker::ops::cuda
