// What the sampling kernel's blocks do together: a row is spread over a cluster of
// blocks, each with a contiguous range of ids (its slice) in shared memory.
//
// Sums that decide anything are of integers, so that they are exact and the same in
// any order: a weight is at most 1 and enters them as a multiple of 2^-42.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace weft::worker::ops::cuda::sampling {

constexpr int kWarp = 32;
constexpr int kVector = 4;  // floats in one 16-byte load
constexpr unsigned kAllLanes = 0xffffffff;
// The largest portable cluster: of 151,936 logits, two blocks' slices and scratch fit
// into an SM, one loading while the other computes.
constexpr int kClusterBlocks = 8;
constexpr int kThreads = 512;
constexpr int kBlockWarps = kThreads / kWarp;
constexpr int kClusterWarps = kClusterBlocks * kBlockWarps;

constexpr float kMasked = -INFINITY;
constexpr uint64_t kMassOne = uint64_t{1} << 42;  // the mass of weight 1
constexpr int kMaxVocab = (1 << 19) - 1;          // masses of that many ids fit in 64 bits

__device__ __forceinline__ int Lane() { return threadIdx.x % kWarp; }
__device__ __forceinline__ int Warp() { return threadIdx.x / kWarp; }

// Blocks talk by writes into each other's shared memory that count themselves in at a
// barrier there; the reader waits for the bytes that it expects. (A barrier of the whole
// cluster that made writes visible would flush memory and the L1 cache.)
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
// No clusters: a launch fails.
__device__ inline int ClusterRank() { return 0; }
__device__ inline void ClusterArrive() {}
__device__ inline void ClusterWait() {}
struct Inbox {
  uint64_t state;
  __device__ void Init() {}
  __device__ void Expect(int) {}
  __device__ void Wait(int) {}
};
__device__ inline void Send(uint64_t*, Inbox&, int, uint64_t) {}
#else
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

__device__ __forceinline__ uint32_t SharedAddress(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

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
#endif

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

__device__ __forceinline__ uint64_t WarpSum(uint64_t value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

// The sum up to and with this lane.
__device__ __forceinline__ uint64_t WarpScan(uint64_t value) {
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const uint64_t other = __shfl_up_sync(kAllLanes, value, offset);
    if (Lane() >= offset) value += other;
  }
  return value;
}

__device__ __forceinline__ uint64_t WarpMax(uint64_t value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const uint32_t high = static_cast<uint32_t>(value >> 32);
  const uint32_t best = __reduce_max_sync(kAllLanes, high);
  const uint32_t low = high == best ? static_cast<uint32_t>(value) : 0;
  return uint64_t{best} << 32 | __reduce_max_sync(kAllLanes, low);
#else
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const uint64_t other = __shfl_xor_sync(kAllLanes, value, offset);
    if (other > value) value = other;
  }
  return value;
#endif
}

// A logit and its id as one number: the larger logit is larger, of equal logits the
// lower id. Zero is less than any.
__device__ __forceinline__ uint64_t Preference(float logit, int id) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);  // -0 is 0
  const uint32_t key = bits & 0x80000000 ? ~bits : bits | 0x80000000;
  return uint64_t{key} << 32 | ~static_cast<uint32_t>(id);
}

__device__ __forceinline__ float PreferredLogit(uint64_t preference) {
  const uint32_t key = static_cast<uint32_t>(preference >> 32);
  return __uint_as_float(key & 0x80000000 ? key & 0x7fffffff : ~key);
}

__device__ __forceinline__ int PreferredId(uint64_t preference) {
  return static_cast<int>(~static_cast<uint32_t>(preference));
}

// A block's ids: [first_id, first_id + size). Each thread minds `per_thread` of them
// that follow each other, an odd number: a warp then reads from 32 different banks.
struct Slice {
  float* logits;  // shared; kMasked from `size` up to kThreads * per_thread
  int first_id;
  int size;
  int per_thread;

  __device__ int num_vectors() const { return (size + kVector - 1) / kVector; }
  __device__ int begin() const { return threadIdx.x * per_thread; }

  // f(logit, place) for every logit of the thread, in the order of ids.
  template <class F>
  __device__ __forceinline__ void ForEach(F f) const {
    const int first = begin();
#pragma unroll 8
    for (int i = 0; i < per_thread; ++i) f(logits[first + i], first + i);
  }
};

// A sum of weights, in integers. A weight enters as a multiple of 2^-20, and what is
// left of it as one of 2^-42. (Converting to 64 bits at once is many times slower.)
class Mass {
 public:
  __device__ __forceinline__ void Add(float weight) {
    // Added to 1.5 * 2^23, a number is rounded to an integer in the low bits.
    constexpr float kRound = 12582912;
    constexpr uint32_t kRoundBits = 0x4B400000;
    const float high = fmaf(weight, 1 << 20, kRound);
    const float rest = fmaf(weight, 1 << 20, kRound - high);  // exact
    const float low = fmaf(rest, 1 << 22, kRound);
    high_ += __float_as_uint(high) - kRoundBits;
    low_ += __float_as_uint(low) - kRoundBits;
  }
  // In units of 1 / kMassOne.
  __device__ __forceinline__ uint64_t units() const {
    return (uint64_t{high_} << 22) + static_cast<int64_t>(static_cast<int32_t>(low_));
  }

 private:
  uint32_t high_ = 0;
  uint32_t low_ = 0;  // signed
};

__device__ __forceinline__ uint64_t MassOf(float weight) {
  Mass mass;
  mass.Add(weight);
  return mass.units();
}

// A token is told by its logit's distance from the best: 0 or more, and so ordered
// like the bits of the number.
using Key = uint32_t;
constexpr Key kMaskedKey = 0x7f800000;  // infinity

// What a logit weighs: its probability up to a common factor.
struct Weigher {
  float best;
  float rate;             // log2(e) / temperature
  Key last = kMaskedKey;  // what is farther away than this is dropped
  float least = 0;        // and so is what weighs less

  __device__ __forceinline__ Key KeyOf(float logit) const { return __float_as_uint(best - logit); }

  __device__ __forceinline__ float Unfiltered(float logit) const {
    float weight;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(weight) : "f"((logit - best) * rate));
    return weight;
  }

  __device__ __forceinline__ float operator()(float logit) const {
    const float weight = Unfiltered(logit);
    return KeyOf(logit) <= last && weight >= least ? weight : 0.0f;
  }
};

// Where a draw falls: `rest` of the way into entry `index`.
struct Place {
  int index;
  uint64_t rest;
};

// Each lane gives the mass of its part, in order; which lane's holds `target`, which is
// less than the mass of all?
__device__ __forceinline__ Place FindLane(uint64_t sum, uint64_t target) {
  const uint64_t inclusive = WarpScan(sum);
  const int lane = __ffs(__ballot_sync(kAllLanes, inclusive > target)) - 1;
  const uint64_t before = __shfl_sync(kAllLanes, inclusive - sum, lane);
  return {lane, target - before};
}

// The place in logits[begin, begin + size) at which the sum of weights passes
// `target`. By one warp: it splits the range among its lanes until one logit is left.
__device__ inline int FindToken(const float* logits, int begin, int size, const Weigher& weigh,
                                uint64_t target) {
  while (size > 1) {
    const int per_lane = (size + kWarp - 1) / kWarp;
    const int first = min(size, Lane() * per_lane);
    const int last = min(size, first + per_lane);
    Mass mass;
    for (int i = first; i < last; ++i) mass.Add(weigh(logits[begin + i]));
    const Place place = FindLane(mass.units(), target);
    target = place.rest;
    const int skipped = place.index * per_lane;
    begin += skipped;
    size = min(size - skipped, per_lane);
  }
  return begin;
}

// Philox4x32-10 and the noise of worker/engine/sampler.cc.
__device__ inline double SamplingNoise(uint64_t seed, uint64_t output_index) {
  uint32_t c0 = static_cast<uint32_t>(output_index);
  uint32_t c1 = static_cast<uint32_t>(output_index >> 32);
  uint32_t c2 = 0, c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c0;
    const uint64_t b = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  const uint64_t bits = uint64_t{c0} << 32 | c1;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace weft::worker::ops::cuda::sampling
