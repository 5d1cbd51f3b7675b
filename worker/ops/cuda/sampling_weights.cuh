// Sampling: what a thread and a warp compute, however a row's logits are spread over them.
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
constexpr int kThreads = 512;
constexpr int kBlockWarps = kThreads / kWarp;

constexpr float kMasked = -INFINITY;
constexpr uint64_t kMassOne = uint64_t{1} << 42;  // the mass of weight 1

__device__ __forceinline__ int Lane() { return threadIdx.x % kWarp; }
__device__ __forceinline__ int Warp() { return threadIdx.x / kWarp; }

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
