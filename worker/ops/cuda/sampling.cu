#include <algorithm>

#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/sampling.h"
#include "worker/ops/cuda/sampling_cluster.cuh"
#include "worker/ops/cuda/sampling_row.cuh"
#include "worker/ops/cuda/sampling_search.cuh"

namespace weft::worker::ops::cuda {
namespace sampling {
namespace {

// Vectors that a thread has in flight at once: all that it loads of 151,936 logits.
constexpr int kLoads = 10;

// The best tokens of a block's slice, for the first block.
struct TopLists {
  uint64_t lists[kClusterBlocks][kMaxTopLogprobs];  // preferences, best first; 0: no more
  Inbox inbox;
  uint64_t by_warp[2][kBlockWarps];  // of this block alone
};

constexpr int kBlockBuckets = kBuckets / kClusterBlocks;  // that a block sums

struct SearchScratch {
  uint32_t own_low[kBuckets];
  uint32_t own_high[kBuckets];
  Tally parts[kClusterBlocks][kBlockBuckets];  // all blocks' tallies that this block sums
  Tally sums[kBuckets];
  Tally groups[kGroups];
};

struct SummingInboxes {
  Inbox parts;
  Inbox sums;

  __device__ void Init() {
    parts.Init();
    parts.Expect(kPartsBytes);
    sums.Init();
    sums.Expect(kSumsBytes);
  }
  static constexpr int kPartsBytes = sizeof(SearchScratch::parts);
  static constexpr int kSumsBytes = sizeof(SearchScratch::sums) + sizeof(SearchScratch::groups);
};

// Each block sums a part of the buckets over the cluster, and hands it to every block.
struct ClusterSumming {
  using Scratch = SearchScratch;
  using Inboxes = SummingInboxes;

  __device__ static void Sum(Scratch& scratch, Inboxes& inboxes, int round) {
    for (int i = threadIdx.x; i < kBuckets; i += kThreads) {
      Send(&scratch.parts[ClusterRank()][i % kBlockBuckets], inboxes.parts, i / kBlockBuckets,
           Tally{scratch.own_high[i]} << 32 | scratch.own_low[i]);
    }
    if (threadIdx.x < kBlockBuckets) SumBuckets(scratch, inboxes, round);
    inboxes.sums.Wait(round);
    if (threadIdx.x == 0) {
      inboxes.parts.Expect(SummingInboxes::kPartsBytes);
      inboxes.sums.Expect(SummingInboxes::kSumsBytes);
    }
  }

  __device__ static void SumBuckets(Scratch& scratch, Inboxes& inboxes, int round) {
    inboxes.parts.Wait(round);
    Tally sum = 0;
    for (int r = 0; r < kClusterBlocks; ++r) sum += scratch.parts[r][threadIdx.x];
    const int bucket = ClusterRank() * kBlockBuckets + threadIdx.x;
    for (int r = 0; r < kClusterBlocks; ++r) {
      Send(&scratch.sums[bucket], inboxes.sums, r, sum);
    }
    const Tally group = WarpSum(sum);
    if (Lane() < kClusterBlocks) {
      Send(&scratch.groups[bucket / kWarp], inboxes.sums, Lane(), group);
    }
  }
};

// What the blocks of a cluster tell each other.
struct Exchange {
  Board best;  // preferences
  Board logprob_mass;
  Board mass;
  Board kept_mass;
  TopLists top;
  SummingInboxes summing;

  __device__ void Init() {
    best.Init();
    logprob_mass.Init();
    mass.Init();
    kept_mass.Init();
    top.inbox.Init();
    summing.Init();
  }
};

// Of the row, in shared memory: cheaper to keep there than in registers or to read again.
struct Shared {
  SlotSampling params;
  SampledRow* answer;
  Exchange exchange;
};

__device__ Slice SliceOf(float* logits, int vocab_size, int slice_size, int per_thread) {
  Slice slice;
  slice.logits = logits;
  slice.first_id = ClusterRank() * slice_size;
  slice.size = max(0, min(slice_size, vocab_size - slice.first_id));
  slice.per_thread = per_thread;
  return slice;
}

// Brings the slice from global memory, coalesced, and sees the thread's best token and
// whether all is finite on the way.
class Loader {
 public:
  // `row`: its first logit in the slice.
  __device__ Loader(const float* row, const Slice& slice)
      : row_(row),
        slice_(slice),
        aligned_(reinterpret_cast<uintptr_t>(row) % sizeof(float4) == 0) {}

  // Sends for the first vectors; Finish stores them and does the rest.
  __device__ __forceinline__ void Start() { Fetch(threadIdx.x); }

  __device__ __forceinline__ void Finish() {
    for (int v = threadIdx.x;;) {
      Store(v);
      v += kLoads * kThreads;
      if (v >= slice_.num_vectors()) break;
      Fetch(v);
    }
    for (int i = slice_.num_vectors() * kVector + threadIdx.x; i < kThreads * slice_.per_thread;
         i += kThreads) {
      slice_.logits[i] = kMasked;
    }
  }

  __device__ bool finite() const { return zero_ == 0; }

  __device__ uint64_t best() const {
    if (best_ == kMasked) return Preference(kMasked, slice_.first_id);  // none
    const float* x = slice_.logits + best_vector_ * kVector;
    int i = 0;
    while (i < kVector - 1 && x[i] != best_) ++i;
    return Preference(best_, slice_.first_id + best_vector_ * kVector + i);
  }

 private:
  __device__ __forceinline__ void Fetch(int first) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int place = (first + i * kThreads) * kVector;
      if (aligned_ && place + kVector <= slice_.size) {
        loaded_[i] = __ldcg(reinterpret_cast<const float4*>(row_ + place));
      } else if (place < slice_.size) {
        loaded_[i] = FetchLast(place);
      }
    }
  }

  // One by one, not past the end.
  __device__ float4 FetchLast(int place) const {
    float4 x;
    x.x = row_[place];
    x.y = place + 1 < slice_.size ? row_[place + 1] : kMasked;
    x.z = place + 2 < slice_.size ? row_[place + 2] : kMasked;
    x.w = place + 3 < slice_.size ? row_[place + 3] : kMasked;
    return x;
  }

  __device__ __forceinline__ void Store(int first) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int v = first + i * kThreads;
      const int left = slice_.size - v * kVector;
      if (left <= 0) break;
      const float4 x = loaded_[i];
      reinterpret_cast<float4*>(slice_.logits)[v] = x;
      const float best = fmaxf(fmaxf(x.x, x.y), fmaxf(x.z, x.w));
      if (best > best_) {
        best_ = best;
        best_vector_ = v;
      }
      if (left >= kVector) {
        // Stays 0 until a NaN or infinity comes.
        zero_ = fmaf(x.x, 0, fmaf(x.y, 0, fmaf(x.z, 0, fmaf(x.w, 0, zero_))));
      } else if (!IsFinite(x.x) || (left > 1 && !IsFinite(x.y)) || (left > 2 && !IsFinite(x.z))) {
        zero_ = NAN;
      }
    }
  }

  const float* row_;
  const Slice& slice_;
  const bool aligned_;
  float4 loaded_[kLoads];
  float best_ = kMasked;
  int best_vector_ = 0;
  float zero_ = 0;
};

// The thread's best token.
__device__ uint64_t ThreadBest(const Slice& slice) {
  float best = kMasked;
  int place = 0;
  slice.ForEach([&](float x, int i) {
    if (x > best) {
      best = x;
      place = i;
    }
  });
  return Preference(best, slice.first_id + place);
}

// More than any preference.
constexpr uint64_t kNonFinite = ~uint64_t{0};

// From every thread's best.
__device__ RowBest FindBest(uint64_t thread_best, Board& board) {
  board.Publish(WarpMax(thread_best));
  uint64_t most = 0, least = kNonFinite;
  for (int i = Lane(); i < kClusterWarps; i += kWarp) {
    const uint64_t of_warp = board.by_warp[i];
    most = of_warp > most ? of_warp : most;
    least = of_warp < least ? of_warp : least;
  }
  most = WarpMax(most);
  least = ~WarpMax(~least);
  RowBest row;
  row.logit = PreferredLogit(most);
  row.id = PreferredId(most);
  row.floor = PreferredLogit(least);
  row.num_above = kClusterWarps;
  row.usable = most != kNonFinite && IsFinite(row.logit);
  return row;
}

// A lane's part of the masses by warp.
__device__ uint64_t LaneMass(const uint64_t* by_warp) {
  constexpr int kPerLane = kClusterWarps / kWarp;
  uint64_t sum = 0;
  for (int i = 0; i < kPerLane; ++i) sum += by_warp[Lane() * kPerLane + i];
  return sum;
}

struct Weighed {
  uint64_t thread;  // mass of its logits
  uint64_t row;
};

// Weighs the row; every warp's mass is then on the board.
__device__ Weighed Weigh(const Slice& slice, const Weigher& weigh, Board& board) {
  Mass mass;
  if (weigh.last == kMaskedKey && weigh.least == 0) {
    slice.ForEach([&](float x, int) { mass.Add(weigh.Unfiltered(x)); });
  } else {
    slice.ForEach([&](float x, int) { mass.Add(weigh(x)); });
  }
  const uint64_t units = mass.units();
  board.Publish(WarpSum(units));
  return {units, WarpSum(LaneMass(board.by_warp))};
}

// The thread's best token after `last` in the order of preference; 0: none.
__device__ uint64_t NextBest(const Slice& slice, uint64_t last) {
  uint64_t best = 0;
  slice.ForEach([&](float x, int place) {
    const uint64_t preference = Preference(x, slice.first_id + place);
    if (preference < last && preference > best && x > kMasked) best = preference;
  });
  return best;
}

// The slice's `count` best tokens, to the cluster's first block.
__device__ void SendTop(const Slice& slice, int count, TopLists& top) {
  if (count == 0) return;
  if (threadIdx.x == 0) top.inbox.Expect(kClusterBlocks * count * sizeof(uint64_t));
  uint64_t mine = NextBest(slice, ~uint64_t{0});
  for (int n = 0; n < count; ++n) {
    uint64_t* by_warp = top.by_warp[n % 2];
    const uint64_t best_of_warp = WarpMax(mine);
    if (Lane() == 0) by_warp[Warp()] = best_of_warp;
    __syncthreads();
    const uint64_t best = WarpMax(Lane() < kBlockWarps ? by_warp[Lane()] : 0);
    if (threadIdx.x == 0) Send(&top.lists[ClusterRank()][n], top.inbox, 0, best);
    if (mine == best && best != 0) mine = NextBest(slice, best);
  }
}

// Merges the blocks' best into the answer. By one warp of the first block.
__device__ void WriteTop(TopLists& top, int count, float best, float log_sum, SampledRow* answer) {
  if (count > 0) top.inbox.Wait(0);
  int next = 0;  // in the list of the block that the lane minds
  int num_top = 0;
  for (; num_top < count; ++num_top) {
    const bool any = Lane() < kClusterBlocks && next < count;
    const uint64_t mine = any ? top.lists[Lane()][next] : 0;
    const uint64_t most = WarpMax(mine);
    if (most == 0) break;
    if (mine == most) ++next;
    if (Lane() == 0) {
      answer->top_ids[num_top] = PreferredId(most);
      answer->top_logprobs[num_top] = PreferredLogit(most) - best - log_sum;
    }
  }
  if (Lane() == 0) answer->num_top = num_top;
}

// Weighs the row under temperature and filters, and draws. The one warp that has the
// token gets its place in its slice; all others -1.
__device__ int Draw(const SampleArgs& args, const Row& row, const SlotSampling& p,
                    const Slice& slice, const RowBest& best, SearchScratch& scratch,
                    Exchange& exchange) {
  const bool has_top_k = p.top_k > 0 && p.top_k < args.vocab_size;
  const bool has_cut = has_top_k || p.top_p < 1;
  Weigher weigh = {best.logit, kLog2e / p.temperature};
  if (!has_cut) weigh.least = p.min_p;
  Weighed mass = Weigh(slice, weigh, exchange.mass);
  const uint64_t* by_warp = exchange.mass.by_warp;
  if (has_cut) {
    CutSearch<Slice, ClusterSumming> search(scratch, exchange.summing, slice, weigh, mass.row);
    search.Start(SearchEnd(p, best, mass.row, args.vocab_size, has_top_k));
    using Measure = CutSearch<Slice, ClusterSumming>::Measure;
    // Top-k, then top-p, in one place: the instruction cache is small.
#pragma unroll 1
    for (int by_count = 1; by_count >= 0; --by_count) {
      if (by_count ? !has_top_k : p.top_p >= 1) continue;
      weigh.last = search.Find(by_count ? Measure::kCount : Measure::kMass,
                               by_count ? static_cast<double>(p.top_k) : p.top_p);
    }
    weigh.least = p.min_p;
    mass = Weigh(slice, weigh, exchange.kept_mass);
    by_warp = exchange.kept_mass.by_warp;
  }
  const double noise = SamplingNoise(p.seed, row.num_tokens - p.num_prompt_tokens);
  const uint64_t target = min(static_cast<uint64_t>(noise * mass.row), mass.row - 1);
  // Which four warps' masses hold it, which warp's, which thread's, which logit's.
  constexpr int kPerLane = kClusterWarps / kWarp;
  Place place = FindLane(LaneMass(by_warp), target);
  int warp = place.index * kPerLane;
  for (; place.rest >= by_warp[warp]; ++warp) place.rest -= by_warp[warp];
  if (warp != ClusterRank() * kBlockWarps + Warp()) return -1;
  place = FindLane(mass.thread, place.rest);
  const int begin = (Warp() * kWarp + place.index) * slice.per_thread;
  return FindToken(slice.logits, begin, slice.per_thread, weigh, place.rest);
}

struct KernelSizes {
  int slice;          // ids of a block
  int per_thread;     // of them
  int scratch_bytes;  // behind the logits
};

__global__ void __launch_bounds__(kThreads, 2)
    SampleKernel(const __grid_constant__ SampleArgs args, const KernelSizes sizes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  __trap();  // DeviceFeatures::has_clusters: not launched
#else
  extern __shared__ float4 dynamic[];  // the slice's logits; scratch
  __shared__ Shared shared;
  float* logits = reinterpret_cast<float*>(dynamic);
  void* scratch = logits + kThreads * sizes.per_thread;
  const Slice slice = SliceOf(logits, args.vocab_size, sizes.slice, sizes.per_thread);
  const SlotSampling& p = shared.params;
  Exchange& exchange = shared.exchange;
  const bool is_first_warp = ClusterRank() == 0 && Warp() == 0;
  Row row;
  row.index = blockIdx.x / kClusterBlocks;
  Loader loader(args.logits + row.index * args.vocab_stride + slice.first_id, slice);
  if (threadIdx.x == 0) exchange.Init();
  WaitForPrevious();
  LetNextStart();
  loader.Start();  // not waiting for the slot
  row.slot = args.row_slots[row.index];
  if (row.slot < 0) return;
  ClusterArrive();
  row.num_tokens = args.num_tokens[row.slot];
  CopyWords(&args.slots[row.slot], &shared.params, sizeof(SlotSampling));
  loader.Finish();
  if (threadIdx.x == 0) {
    shared.answer = args.ring + *args.step % args.ring_steps * args.rows_per_step + row.index;
  }
  uint64_t thread_best = loader.best();
  __syncthreads();
  if (Adjust(args, row, p, slice, static_cast<uint32_t*>(scratch),
             sizes.scratch_bytes / static_cast<int>(sizeof(uint32_t)))) {
    thread_best = ThreadBest(slice);
  }
  if (!loader.finite()) thread_best = kNonFinite;
  ClusterWait();
  const RowBest best = FindBest(thread_best, exchange.best);
  if (!best.usable) {
    if (is_first_warp && Lane() == 0) {
      WriteToken(args, row, shared.answer, -1, 0);
      shared.answer->num_top = 0;
    }
    return;
  }
  float log_sum = 0;
  const bool has_logprobs = p.num_logprobs >= 0;
  if (has_logprobs) {
    SendTop(slice, p.num_logprobs, exchange.top);
    const Weighed mass = Weigh(slice, {best.logit, kLog2e}, exchange.logprob_mass);
    log_sum = logf(static_cast<float>(mass.row) / kMassOne);
  }
  if (p.temperature < kGreedyBelow) {
    if (is_first_warp && Lane() == 0) WriteToken(args, row, shared.answer, best.id, -log_sum);
  } else {
    const int place =
        Draw(args, row, p, slice, best, *static_cast<SearchScratch*>(scratch), exchange);
    if (place >= 0 && Lane() == 0) {
      const float logprob = has_logprobs ? slice.logits[place] - best.logit - log_sum : 0;
      WriteToken(args, row, shared.answer, slice.first_id + place, logprob);
    }
  }
  if (is_first_warp) {
    WriteTop(exchange.top, max(p.num_logprobs, 0), best.logit, log_sum, shared.answer);
  }
#endif
}

constexpr int RoundUp(int value, int multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace
}  // namespace sampling

cudaError_t PrepareSampling(const DeviceFeatures& device) {
  if (!device.has_clusters()) return cudaSuccess;
  cudaFuncAttributes attributes;
  if (auto error = cudaFuncGetAttributes(&attributes, sampling::SampleKernel)) return error;
  return AllowSharedBytes(sampling::SampleKernel, device.shared_bytes - attributes.sharedSizeBytes);
}

cudaError_t Sample(const SampleArgs& args, const DeviceFeatures& device, cudaStream_t stream) {
  using namespace sampling;
  if (args.num_rows == 0) return cudaSuccess;
  if (args.vocab_size > kMaxVocab) return cudaErrorInvalidValue;
  KernelSizes sizes;
  sizes.slice = RoundUp((args.vocab_size + kClusterBlocks - 1) / kClusterBlocks, kVector);
  sizes.per_thread = (sizes.slice + kThreads - 1) / kThreads | 1;
  // A third of a slice of counts: penalties take three passes over the slot's tokens, and
  // two blocks still fit into an SM.
  sizes.scratch_bytes =
      std::max<int>(sizeof(SearchScratch), RoundUp(sizes.slice, 3) / 3 * sizeof(uint32_t));
  Grid grid;
  grid.blocks = dim3(args.num_rows * kClusterBlocks);
  grid.threads = dim3(kThreads);
  grid.shared_bytes = kThreads * sizes.per_thread * sizeof(float) + sizes.scratch_bytes;
  grid.cluster_blocks = kClusterBlocks;
  if (!device.has_clusters() ||
      grid.shared_bytes + sizeof(Shared) > static_cast<size_t>(device.shared_bytes)) {
    return SampleInOneBlock(args, stream);
  }
  return Launch(SampleKernel, grid, stream, args, sizes);
}

}  // namespace weft::worker::ops::cuda
