// What the sampling kernel's blocks do together: a row is spread over a cluster of
// blocks, each with a contiguous range of ids (its slice) in shared memory. sm_90 and
// newer; before, sampling_one_block.cu.
#pragma once

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/cluster.cuh"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/sampling_weights.cuh"

namespace weft::worker::ops::cuda::sampling {

// The largest portable cluster: of 151,936 logits, two blocks' slices and scratch fit
// into an SM, one loading while the other computes.
constexpr int kClusterBlocks = 8;
constexpr int kClusterWarps = kClusterBlocks * kBlockWarps;

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
