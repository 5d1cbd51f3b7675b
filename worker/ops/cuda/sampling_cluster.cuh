// What the sampling kernel's blocks do together: a row is spread over a cluster of
// blocks, each with a contiguous range of ids (its slice) in shared memory. sm_90 and
// newer; before, sampling_one_block.cu.
#pragma once

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/sampling_weights.cuh"

namespace weft::worker::ops::cuda::sampling {

// The largest portable cluster: of 151,936 logits, two blocks' slices and scratch fit
// into an SM, one loading while the other computes.
constexpr int kClusterBlocks = 8;
constexpr int kClusterWarps = kClusterBlocks * kBlockWarps;

__device__ __forceinline__ int ClusterRank() {
  int rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// Arrive, then Wait, once: all blocks have started and their inboxes are there.
__device__ __forceinline__ void ClusterArrive() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ __forceinline__ void ClusterWait() {
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
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

// A number from every warp of the cluster for every block. Good for one round.
struct Board {
  uint64_t by_warp[kClusterWarps];
  Inbox inbox;

  __device__ void Init() {
    inbox.Init();
    inbox.Expect(sizeof(by_warp));
  }
  __device__ __forceinline__ void Publish(uint64_t value) {
    if (Lane() < kClusterBlocks) {
      Send(&by_warp[ClusterRank() * kBlockWarps + Warp()], inbox, Lane(), value);
    }
    inbox.Wait(0);
  }
};

// A block's ids: [first_id, first_id + size). Each thread minds `per_thread` of them
// that follow each other, an odd number: a warp then reads from 32 different banks.
struct Slice {
  static constexpr bool kIsPadded = true;  // to whole vectors

  float* logits;  // shared; kMasked from `size` up to kThreads * per_thread
  int first_id;
  int size;
  int per_thread;

  __device__ int num_vectors() const { return (size + kVector - 1) / kVector; }
  __device__ int begin() const { return threadIdx.x * per_thread; }

  // The thread's logits one by one, in the order of ids.
  __device__ int num_own() const { return per_thread; }
  __device__ __forceinline__ float Own(int i) const { return logits[begin() + i]; }

  // f(logit, place) for every logit of the thread, in the order of ids.
  template <class F>
  __device__ __forceinline__ void ForEach(F f) const {
    const int first = begin();
#pragma unroll 8
    for (int i = 0; i < per_thread; ++i) f(logits[first + i], first + i);
  }
};

}  // namespace weft::worker::ops::cuda::sampling
