// Prefill attention: what a block of threads works on, and the shared memory in which
// its warpgroups meet. See prefill_attention.cu.
#pragma once

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/cluster.cuh"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/numbers.cuh"

namespace weft::worker::ops::cuda::prefill {

constexpr int kWarpgroup = 128;
constexpr int kConsumers = 2;
constexpr int kThreads = (1 + kConsumers) * kWarpgroup;
constexpr int kConsumerQueries = 64;  // wgmma's rows
constexpr int kQueries = kConsumers * kConsumerQueries;
constexpr int kStepKeys = 128;  // scores of a thread: 64 registers
constexpr int kStepTiles = kStepKeys / kTileTokens;
constexpr int kStages = 2;            // of steps' keys and values; also of works' queries
constexpr int kMaxClusterBlocks = 8;  // more are not portable
constexpr int kPieceColumns = 64;     // 16-bit numbers in wgmma's 128-byte rows

// Named barriers; 0 is __syncthreads'. The first two come one for each consumer.
constexpr int kConsumerBarrier = 1;
constexpr int kTurnBarrier = kConsumerBarrier + kConsumers;
constexpr int kAllConsumersBarrier = kTurnBarrier + kConsumers;

__host__ __device__ constexpr int CeilDiv(int a, int b) { return (a + b - 1) / b; }

// Keys and values of a step are 16-bit in shared memory, whatever they are in the pool.
//   queries [D / 64][128 vectors][128 bytes], keys [D / 64][128 tokens][128 bytes]
//   values  [8 tiles][D / 64][16 tokens][128 bytes]
// each row's 16-byte chunks permuted as in the pool.
template <int kHeadDim>
struct StepLayout {
  using Tile = KvTile<kHeadDim, 2>;
  static constexpr int kPieces = kHeadDim / kPieceColumns;
  static constexpr int kRowChunks = kHeadDim / 8;
  static constexpr int kPieceBytes = kStepKeys * 128;  // of queries, keys
  static constexpr int kTileBytes = kTileTokens * kHeadDim * 2;
  static constexpr int kBytes = kStepKeys * kHeadDim * 2;
  static_assert(kQueries == kStepKeys);

  __device__ static int KeyChunk(int row, int chunk) {  // queries: the same
    return chunk / 8 * kPieceBytes + row * 128 + ((chunk % 8) ^ (row % 8)) * 16;
  }
  __device__ static int ValueChunk(int row, int chunk) {
    return row / kTileTokens * kTileBytes + Tile::ChunkOffset(row % kTileTokens, chunk);
  }
};

// 128 query vectors of a row and the keys that they see.
struct Work {
  int kv_head;
  int group;            // query heads of a KV head
  uint32_t reciprocal;  // 2^32 / group, rounded up
  int first_query;      // in the row
  int num_queries;      // of the row, from its first token's on
  int first_token;      // the row's
  int first_position;   // of that token
  int num_keys;         // that any of the 128 queries sees; 0: no work
  int blocks_start;     // the row's, in `blocks`

  // The token, counted from the row's first, of a query vector: query / group. Exact
  // for queries below 2^32 / group.
  __device__ int TokenOf(int query) const {
    return group == 1 ? query : static_cast<int>(__umulhi(query, reciprocal));
  }
  __device__ int LastKeyOf(int query) const { return first_position + TokenOf(query); }
};

template <int kHeadDim>
struct Shared {
  using Layout = StepLayout<kHeadDim>;
  uint8_t queries[kStages][Layout::kBytes];  // and, in the end, the results
  uint8_t keys[kStages][Layout::kBytes];
  uint8_t values[kStages][Layout::kBytes];
  uint64_t keys_full[kStages];
  uint64_t keys_empty[kStages];
  uint64_t values_full[kStages];
  uint64_t values_empty[kStages];
  uint64_t work_full[kStages];  // works and queries
  uint64_t work_empty[kStages];
  Work works[kStages];
  Work producer_works[kWarpgroup / kWarpLanes];  // each of the producer's warps' own
  // Of a cluster's partial results, whose weighted values lie in `keys`:
  float largest[kQueries];
  float sums[kQueries];
};

// The count'th thing (step or work) to pass through its stages; a barrier's phase
// completes once a round.
struct RingPlace {
  int stage;
  uint32_t parity;
};
__device__ __forceinline__ RingPlace PlaceOf(int count) {
  return {count % kStages, static_cast<uint32_t>(count / kStages & 1)};
}

__device__ __forceinline__ void SyncNamed(int barrier, int num_threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(num_threads) : "memory");
}
__device__ __forceinline__ void ArriveNamed(int barrier, int num_threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(num_threads) : "memory");
}

// Between what earlier kernels wrote to global memory and bulk copies of it.
__device__ __forceinline__ void FenceWrittenForCopies() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

// ---- who does what ----

// Works are dealt out to the clusters (most often of one block) in rounds, the order
// turning each round: works become lighter as they go, and so all get about as much.
struct Deal {
  int num_works;

  __device__ int NumRounds() const { return CeilDiv(num_works, gridDim.x / ClusterSize()); }
  __device__ int WorkIn(int round) const {
    const int num_clusters = gridDim.x / ClusterSize();
    const int cluster = blockIdx.x / ClusterSize();
    return round * num_clusters + (round % 2 == 0 ? cluster : num_clusters - 1 - cluster);
  }
};

// A row's works, or none. `first_level`: how many times 128 query vectors the row's
// prefix would make; a work's level, that of the row and on, tells how many keys it sees.
struct RowWorks {
  int first_token;
  int num_tokens;
  int first_position;
  int first_level;
  int num_works;  // of a KV head
};

__device__ inline RowWorks WorksOfRow(const AttentionArgs& args, int row, int group) {
  if (row >= args.num_decode_rows + args.num_prefill_rows) return {};
  const int first_token = args.row_starts[row];
  const int num_tokens = args.row_starts[row + 1] - first_token;
  const int first_position = args.positions[first_token];
  return {first_token, num_tokens, first_position, first_position * group / kQueries,
          CeilDiv(num_tokens * group, kQueries)};
}

// Over the warp.
__device__ __forceinline__ int WarpSum(int x) {
#if __CUDA_ARCH__ >= 800
  return __reduce_add_sync(kAllLanes, x);
#else
  return x;  // no such device runs this
#endif
}
__device__ __forceinline__ int WarpMax(int x) {
#if __CUDA_ARCH__ >= 800
  return __reduce_max_sync(kAllLanes, x);
#else
  return x;
#endif
}

// The level of the index'th work of the warp's rows, the highest levels first; `index`
// becomes the work's place within the level.
__device__ inline int LevelOf(const RowWorks& own, int* index) {
  const int end_level = own.first_level + own.num_works;
  int level = 0, end = WarpMax(end_level), above = 0;
  while (end - level > 1) {
    const int middle = (level + end) / 2;
    const int count = WarpSum(max(min(end_level - middle, own.num_works), 0));
    if (count > *index) {
      level = middle;
    } else {
      end = middle;
      above = count;  // works of level `end` or more
    }
  }
  *index -= above;
  return level;
}

// Works are numbered by KV head, then, 32 rows at a time, from those that see most keys
// to those that see fewest. Called by a whole warp.
__device__ inline Work FindWork(const AttentionArgs& args, int number, Work* scratch) {
  const int lane = threadIdx.x % kWarpLanes;
  const int group = args.shape.num_heads / args.shape.num_kv_heads;
  const int end_row = args.num_decode_rows + args.num_prefill_rows;
  int index = number / args.shape.num_kv_heads;  // among those of a KV head
  __syncwarp();                                  // all have read the one before
  if (lane == 0) scratch->num_keys = 0;
  __syncwarp();
  for (int base = args.num_decode_rows; base < end_row; base += kWarpLanes) {
    const RowWorks own = WorksOfRow(args, base + lane, group);
    const int total = WarpSum(own.num_works);
    if (index >= total) {
      index -= total;
      continue;
    }
    const int level = LevelOf(own, &index);
    const int tile = level - own.first_level;
    const bool has_level = tile >= 0 && tile < own.num_works;
    const unsigned lanes = __ballot_sync(kAllLanes, has_level);
    if (has_level && __popc(lanes & ((1u << lane) - 1)) == index) {
      const int num_queries = own.num_tokens * group;
      const int last_query = min((tile + 1) * kQueries, num_queries) - 1;
      Work work;
      work.kv_head = number % args.shape.num_kv_heads;
      work.group = group;
      work.reciprocal = 0xffffffffu / group + 1;
      work.first_query = tile * kQueries;
      work.num_queries = num_queries;
      work.first_token = own.first_token;
      work.first_position = own.first_position;
      work.num_keys = work.LastKeyOf(last_query) + 1;
      work.blocks_start = args.block_starts[base + lane];
      *scratch = work;
    }
    break;
  }
  __syncwarp();
  return *scratch;
}

// Where a query vector's D numbers start in qkv, or its results in out.
struct VectorPlace {
  int token;
  int head;
};
__device__ __forceinline__ VectorPlace PlaceOfQuery(const Work& work, int query) {
  const int token = work.TokenOf(query);
  return {work.first_token + token, work.kv_head * work.group + query - token * work.group};
}

// A block's share of the keys.
struct Steps {
  int first;
  int end;

  __device__ int Count() const { return max(end - first, 0); }
};

// Fewer steps than these are not worth putting partial results together, which takes
// the time of two or three.
constexpr int kMinSharedSteps = 5;

__device__ __forceinline__ bool IsShared(const Work& work) {
  return ClusterSize() > 1 && work.num_keys > (kMinSharedSteps - 1) * kStepKeys;
}

// A cluster's blocks share the steps evenly; the last may get none.
__device__ __forceinline__ Steps OwnSteps(const Work& work) {
  const int num_steps = CeilDiv(work.num_keys, kStepKeys);
  const int share = IsShared(work) ? CeilDiv(num_steps, ClusterSize()) : num_steps;
  const int first = ClusterRank() * share;
  return {first, min(first + share, num_steps)};
}

}  // namespace weft::worker::ops::cuda::prefill
