// Sampling where blocks form no clusters (before sm_90), or have too little shared memory
// for a row: one block a row, which reads the logits from global memory in every pass and
// adjusts them there. Slower than sampling.cu, with the same tokens: all sums that decide
// anything are exact, however the row is spread over threads.
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/sampling.h"
#include "worker/ops/cuda/sampling_row.cuh"
#include "worker/ops/cuda/sampling_search.cuh"

namespace weft::worker::ops::cuda {
namespace sampling {
namespace {

// The row. Each warp minds ids that follow each other, its lanes by turns.
struct WholeRow {
  static constexpr bool kIsPadded = false;
  static constexpr int first_id = 0;

  float* logits;  // global
  int size;

  __device__ int num_vectors() const { return (size + kVector - 1) / kVector; }

  // The warp's ids: [begin, end).
  __device__ int begin() const { return min(size, Warp() * PerWarp()); }
  __device__ int end() const { return min(size, begin() + PerWarp()); }

  __device__ int num_own() const { return max(0, (end() - begin() - Lane() + kWarp - 1) / kWarp); }
  // Own(0) may be asked for by a lane that has none.
  __device__ float Own(int i) const { return logits[min(begin() + Lane() + i * kWarp, size - 1)]; }

  template <class F>
  __device__ __forceinline__ void ForEach(F f) const {
    const int last = end();
#pragma unroll 4
    for (int i = begin() + Lane(); i < last; i += kWarp) f(logits[i], i);
  }

 private:
  __device__ int PerWarp() const { return (size + kBlockWarps - 1) / kBlockWarps; }
};
static_assert(kMaxVocab / kThreads < 1024, "a thread's masses fit in Mass");

// There are no other blocks to sum over.
struct OneBlockSumming {
  struct Scratch {
    uint32_t own_low[kBuckets];
    uint32_t own_high[kBuckets];
    Tally sums[kBuckets];
    Tally groups[kGroups];
  };
  struct Inboxes {};

  __device__ static void Sum(Scratch& scratch, Inboxes&, int) {
    static_assert(kBuckets % kThreads == 0);
    for (int i = threadIdx.x; i < kBuckets; i += kThreads) {
      const Tally sum = Tally{scratch.own_high[i]} << 32 | scratch.own_low[i];
      scratch.sums[i] = sum;
      const Tally group = WarpSum(sum);
      if (Lane() == 0) scratch.groups[i / kWarp] = group;
    }
    __syncthreads();
  }
};
using Search = CutSearch<WholeRow, OneBlockSumming>;

// Penalties pass over the slot's tokens once for so many ids.
constexpr int kCounts = 10 * 1024;

// Numbers from every warp for all; each good for one round.
struct Boards {
  uint64_t best[kBlockWarps];  // preferences
  uint64_t logprob_mass[kBlockWarps];
  uint64_t mass[kBlockWarps];
  uint64_t kept_mass[kBlockWarps];
  uint64_t top[2][kBlockWarps];  // by turns
};

union Scratch {  // the row is adjusted before it is searched
  uint32_t counts[kCounts];
  OneBlockSumming::Scratch search;
};
static_assert(sizeof(SlotSampling) + sizeof(Boards) + sizeof(Scratch) <= 48 * 1024,
              "static shared memory");

__device__ void Publish(uint64_t value, uint64_t (&by_warp)[kBlockWarps]) {
  if (Lane() == 0) by_warp[Warp()] = value;
  __syncthreads();
}

// The largest of the threads' numbers.
__device__ uint64_t BlockMax(uint64_t value, uint64_t (&by_warp)[kBlockWarps]) {
  Publish(WarpMax(value), by_warp);
  return WarpMax(Lane() < kBlockWarps ? by_warp[Lane()] : 0);
}

// The thread's best token after `last` in the order of preference; 0: none.
__device__ uint64_t NextBest(const WholeRow& slice, uint64_t last) {
  uint64_t best = 0;
  slice.ForEach([&](float x, int id) {
    const uint64_t preference = Preference(x, id);
    if (preference < last && preference > best && x > kMasked) best = preference;
  });
  return best;
}

__device__ RowBest FindBest(const WholeRow& slice, bool finite, Boards& boards) {
  const uint64_t none = Preference(kMasked, 0);
  const uint64_t best = NextBest(slice, ~uint64_t{0});
  const uint64_t most = BlockMax(best == 0 ? none : best, boards.best);
  const uint64_t least = ~WarpMax(~(Lane() < kBlockWarps ? boards.best[Lane()] : ~uint64_t{0}));
  RowBest row;
  row.logit = PreferredLogit(most);
  row.id = PreferredId(most);
  row.floor = PreferredLogit(least);
  row.num_above = kBlockWarps;
  row.usable = finite && IsFinite(row.logit);
  return row;
}

// Weighs the row; every warp's mass is then in `by_warp`.
__device__ uint64_t Weigh(const WholeRow& slice, const Weigher& weigh,
                          uint64_t (&by_warp)[kBlockWarps]) {
  Mass mass;
  slice.ForEach([&](float x, int) { mass.Add(weigh(x)); });
  Publish(WarpSum(mass.units()), by_warp);
  return WarpSum(Lane() < kBlockWarps ? by_warp[Lane()] : 0);
}

__device__ void WriteTop(const WholeRow& slice, int count, float best, float log_sum,
                         Boards& boards, SampledRow* answer) {
  uint64_t mine = count > 0 ? NextBest(slice, ~uint64_t{0}) : 0;
  int num_top = 0;
  for (; num_top < count; ++num_top) {
    const uint64_t most = BlockMax(mine, boards.top[num_top % 2]);
    if (most == 0) break;
    if (mine == most) mine = NextBest(slice, most);
    if (threadIdx.x == 0) {
      answer->top_ids[num_top] = PreferredId(most);
      answer->top_logprobs[num_top] = PreferredLogit(most) - best - log_sum;
    }
  }
  if (threadIdx.x == 0) answer->num_top = num_top;
}

// Weighs the row under temperature and filters, and draws. The one warp that has the
// token gets its id; all others -1.
__device__ int Draw(const SampleArgs& args, const Row& row, const SlotSampling& p,
                    const WholeRow& slice, const RowBest& best, Boards& boards,
                    OneBlockSumming::Scratch& scratch) {
  const bool has_top_k = p.top_k > 0 && p.top_k < args.vocab_size;
  const bool has_top_p = p.top_p < 1;
  const bool has_cut = has_top_k || has_top_p;
  Weigher weigh = {best.logit, kLog2e / p.temperature};
  if (!has_cut) weigh.least = p.min_p;
  uint64_t mass = Weigh(slice, weigh, boards.mass);
  const uint64_t* by_warp = boards.mass;
  if (has_cut) {
    OneBlockSumming::Inboxes none;
    Search search(scratch, none, slice, weigh, mass);
    search.Start(SearchEnd(p, best, mass, args.vocab_size, has_top_k));
    if (has_top_k) weigh.last = search.Find(Search::Measure::kCount, static_cast<double>(p.top_k));
    if (has_top_p) weigh.last = search.Find(Search::Measure::kMass, static_cast<double>(p.top_p));
    weigh.least = p.min_p;
    mass = Weigh(slice, weigh, boards.kept_mass);
    by_warp = boards.kept_mass;
  }
  const double noise = SamplingNoise(p.seed, row.num_tokens - p.num_prompt_tokens);
  uint64_t rest = min(static_cast<uint64_t>(noise * mass), mass - 1);
  int warp = 0;  // whose mass holds it
  for (; rest >= by_warp[warp]; ++warp) rest -= by_warp[warp];
  if (warp != Warp()) return -1;
  return FindToken(slice.logits, slice.begin(), slice.end() - slice.begin(), weigh, rest);
}

__global__ void __launch_bounds__(kThreads)
    SampleInOneBlockKernel(const __grid_constant__ SampleArgs args) {
  __shared__ SlotSampling p;
  __shared__ Boards boards;
  __shared__ Scratch scratch;
  WaitForPrevious();
  LetNextStart();
  Row row;
  row.index = blockIdx.x;
  row.slot = args.row_slots[row.index];
  if (row.slot < 0) return;
  row.num_tokens = args.num_tokens[row.slot];
  CopyWords(&args.slots[row.slot], &p, sizeof(SlotSampling));
  SampledRow* answer = args.ring + *args.step % args.ring_steps * args.rows_per_step + row.index;
  const WholeRow slice = {const_cast<float*>(args.logits) + row.index * args.vocab_stride,
                          args.vocab_size};
  bool finite = true;
  slice.ForEach([&](float x, int) { finite = finite && IsFinite(x); });
  finite = __syncthreads_and(finite);
  Adjust(args, row, p, slice, scratch.counts, kCounts);
  const RowBest best = FindBest(slice, finite, boards);
  if (!best.usable) {
    if (threadIdx.x == 0) {
      WriteToken(args, row, answer, -1, 0);
      answer->num_top = 0;
    }
    return;
  }
  float log_sum = 0;
  const bool has_logprobs = p.num_logprobs >= 0;
  if (has_logprobs) {
    const uint64_t mass = Weigh(slice, {best.logit, kLog2e}, boards.logprob_mass);
    log_sum = logf(static_cast<float>(mass) / kMassOne);
  }
  WriteTop(slice, max(p.num_logprobs, 0), best.logit, log_sum, boards, answer);
  if (p.temperature < kGreedyBelow) {
    if (threadIdx.x == 0) WriteToken(args, row, answer, best.id, -log_sum);
    return;
  }
  const int id = Draw(args, row, p, slice, best, boards, scratch.search);
  if (id >= 0 && Lane() == 0) {
    const float logprob = has_logprobs ? slice.logits[id] - best.logit - log_sum : 0;
    WriteToken(args, row, answer, id, logprob);
  }
}

}  // namespace
}  // namespace sampling

cudaError_t SampleInOneBlock(const SampleArgs& args, cudaStream_t stream) {
  using namespace sampling;
  if (args.num_rows == 0) return cudaSuccess;
  if (args.vocab_size > kMaxVocab) return cudaErrorInvalidValue;
  const Grid grid = {.blocks = dim3(args.num_rows), .threads = dim3(kThreads)};
  return Launch(SampleInOneBlockKernel, grid, stream, args);
}

}  // namespace weft::worker::ops::cuda
