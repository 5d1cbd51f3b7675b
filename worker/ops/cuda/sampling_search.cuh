// The last token that top-k and top-p keep, found without sorting: a histogram of the
// tokens' distances over the whole row, then one of the bucket where the cut lies, until
// the cut is known exactly.
#pragma once

#include "worker/ops/cuda/sampling_row.cuh"

namespace weft::worker::ops::cuda::sampling {

constexpr int kBuckets = 1024;
constexpr int kGroups = kBuckets / kWarp;
static_assert(kGroups == kWarp, "a warp finds a group, then a bucket in it");

// A tally counts tokens and their mass in one integer: count << kMassBits | mass, the
// mass scaled so that all of the row's is kMassOne.
using Tally = uint64_t;
constexpr int kMassBits = 45;  // leaves 19 for the count: kMaxVocab
constexpr Tally kOneToken = Tally{1} << kMassBits;

__device__ __forceinline__ uint64_t CountIn(Tally t) { return t >> kMassBits; }
__device__ __forceinline__ uint64_t MassIn(Tally t) { return t & (kOneToken - 1); }

// The keys that a histogram is of, [begin, end), and its buckets. The first histogram
// has 128 buckets an octave of distances from 1/8 to 32; bucket 0 also has what is
// nearer. The last one has what is farther and is not filled: a cut is hardly ever
// there, and all the row's least tokens are.
struct Buckets {
  Key begin, end;
  Key base;
  int shift;
  bool first;

  __device__ static Buckets First(Key end) { return {0, end, 0x3E000000, 16, true}; }

  __device__ static Buckets Within(Key begin, Key end) {
    const int bits = kWarp - __clz(end - begin - 1);  // of the largest offset
    return {begin, end, begin, max(0, bits - 10), false};
  }

  __device__ __forceinline__ int Of(Key key) const {
    return key < base ? 0 : static_cast<int>(min((key - base) >> shift, Key{kBuckets - 1}));
  }
  __device__ Key Begin(int bucket) const {
    return bucket == 0 ? begin : min(end, base + (static_cast<Key>(bucket) << shift));
  }
  __device__ Key End(int bucket) const {
    return bucket == kBuckets - 1 ? end : min(end, base + (static_cast<Key>(bucket + 1) << shift));
  }
};
static_assert(kBuckets == 1 << 10);

// The search of one row. All threads that have a part of it run it and find the same.
//
// Summing::Scratch, in shared memory, has
//   uint32_t own_low[kBuckets], own_high[kBuckets]   words of the tallies of this block's slice
//   Tally sums[kBuckets], groups[kGroups]            of the row; sums of kWarp of those
// and Summing::Sum(scratch, inboxes, round) makes the latter of the former, by way of
// Summing::Inboxes if there are other blocks.
template <class Slice, class Summing>
class CutSearch {
 public:
  using Scratch = typename Summing::Scratch;
  using Inboxes = typename Summing::Inboxes;

  __device__ CutSearch(Scratch& scratch, Inboxes& inboxes, const Slice& slice, const Weigher& weigh,
                       uint64_t total)
      : scratch_(scratch),
        inboxes_(inboxes),
        slice_(slice),
        weigh_(weigh),
        scale_(static_cast<float>(static_cast<double>(kMassOne) / total)),
        total_mass_(static_cast<double>(total) * scale_) {}

  // No cut lies beyond `last`.
  __device__ void Start(Key last) { first_ = Buckets::First(last + 1); }

  // What to keep: of the tokens by count, or by mass.
  enum class Measure { kCount, kMass };

  // The least key up to which there are so many tokens, or so large a share of the mass:
  // of all, or of what an earlier search left.
  __device__ Key Find(Measure measure, double amount) {
    if (measure == Measure::kMass) {
      amount = ceil(amount * (kept_ == 0 ? total_mass_ : static_cast<double>(MassIn(kept_))));
    }
    return Find(measure, max(uint64_t{1}, static_cast<uint64_t>(amount)));
  }

 private:
  struct Found {
    int bucket;
    Tally before;  // the buckets before it
    Tally in;
  };

  __device__ void Fill(const Buckets& buckets) {
    for (int i = threadIdx.x; i < kBuckets; i += kThreads) {
      scratch_.own_low[i] = scratch_.own_high[i] = 0;
    }
    __syncthreads();
    TallyTokens(buckets);
    __syncthreads();
    Summing::Sum(scratch_, inboxes_, round_);
    ++round_;
    is_first_ = buckets.first;
  }

  // Adds the thread's tokens to the block's tallies; most are out of the range.
  __device__ __forceinline__ void TallyTokens(const Buckets& buckets) {
    const int num_own = slice_.num_own();
    float next = slice_.Own(0);
    for (int i = 1; i <= num_own; ++i) {
      const float logit = next;
      next = slice_.Own(min(i, num_own - 1));  // before an atomic could hold it up
      const Key key = weigh_.KeyOf(logit);
      if (key - buckets.begin >= buckets.end - buckets.begin) continue;
      const int bucket = buckets.Of(key);
      if (buckets.first && bucket == kBuckets - 1) continue;
      Add(bucket, kOneToken + MassOf(weigh_.Unfiltered(logit) * scale_));
    }
  }

  // A 64-bit atomic add in shared memory would be a loop; two of 32 bits are not.
  __device__ __forceinline__ void Add(int bucket, Tally tally) {
    const uint32_t low = static_cast<uint32_t>(tally);
    const uint32_t carry = atomicAdd(&scratch_.own_low[bucket], low) > ~low;
    atomicAdd(&scratch_.own_high[bucket], static_cast<uint32_t>(tally >> 32) + carry);
  }

  __device__ static uint64_t Of(Measure measure, Tally tally) {
    return measure == Measure::kCount ? CountIn(tally) : MassIn(tally);
  }

  // The bucket in which the running tally reaches `target`; the last if none does.
  __device__ Found Locate(Tally before, uint64_t target, Measure measure) const {
    const Tally group = scratch_.groups[Lane()];
    const Tally by_group = before + WarpScan(group);
    const unsigned groups = __ballot_sync(kAllLanes, Of(measure, by_group) >= target);
    if (groups == 0) return {kBuckets - 1, __shfl_sync(kAllLanes, by_group, kWarp - 1), 0};
    const int g = __ffs(groups) - 1;
    before = __shfl_sync(kAllLanes, by_group - group, g);
    const Tally bucket = scratch_.sums[g * kWarp + Lane()];
    const Tally by_bucket = before + WarpScan(bucket);
    const int b = __ffs(__ballot_sync(kAllLanes, Of(measure, by_bucket) >= target)) - 1;
    return {g * kWarp + b, __shfl_sync(kAllLanes, by_bucket - bucket, b),
            __shfl_sync(kAllLanes, bucket, b)};
  }

  __device__ __forceinline__ Key Find(Measure measure, uint64_t target) {
    Buckets buckets = first_;
    Tally before = 0;
    for (;;) {
      if (!(buckets.first && is_first_)) Fill(buckets);
      const Found found = Locate(before, target, measure);
      const Key begin = buckets.Begin(found.bucket), end = buckets.End(found.bucket);
      const bool filled = !buckets.first || found.bucket < kBuckets - 1;
      kept_ = found.before + found.in;
      // Nothing to split: one token or one key, or just as much as is to be kept.
      const bool whole = CountIn(found.in) == 1 || end == begin + 1 || Of(measure, kept_) == target;
      if (end <= begin || (filled && whole)) {
        first_.end = end;
        return end - 1;
      }
      before = found.before;
      buckets = Buckets::Within(begin, end);
    }
  }

  Scratch& scratch_;
  Inboxes& inboxes_;
  const Slice slice_;
  const Weigher weigh_;
  const float scale_;        // of weights, for tallies
  const double total_mass_;  // of the row; a tally's sums are rounded
  Buckets first_ = {};       // its end: what TopK left
  Tally kept_ = 0;
  int round_ = 0;
  bool is_first_ = false;  // the sums are those of first_
};

// The key beyond which top-k and top-p surely keep nothing, from what is known already.
__device__ inline Key SearchEnd(const SlotSampling& p, const RowBest& best, uint64_t total,
                                int vocab_size, bool has_top_k) {
  if (has_top_k) {
    return p.top_k <= best.num_above ? __float_as_uint(best.logit - best.floor) : kMaskedKey;
  }
  // Of the tokens that top-p drops, none is heavier than the last it keeps: were that
  // lighter than this, all from it on would not hold 1 - p. Halved, to be sure.
  const float mass = static_cast<float>(total) / kMassOne;
  const float weight = 0.5f * (1 - p.top_p) * mass / vocab_size;
  return min(kMaskedKey, __float_as_uint(-__logf(weight) * p.temperature * 1.001f));
}

}  // namespace weft::worker::ops::cuda::sampling
