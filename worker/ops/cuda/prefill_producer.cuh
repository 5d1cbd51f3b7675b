// Prefill attention's producer: brings queries, keys and values to shared memory. See
// prefill_attention.cu.
#pragma once

#include "worker/ops/cuda/prefill_work.cuh"

namespace weft::worker::ops::cuda::prefill {

__device__ __forceinline__ void CopyChunkAsync(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(SharedAddress(shared)), "l"(global)
               : "memory");
}

// kNumThreads threads, this one's number `thread`, bring a work and its queries.
template <class T, int kHeadDim, int kNumThreads>
__device__ void LoadQueries(const AttentionArgs& args, const Work& work, int round, int thread,
                            Shared<kHeadDim>& shared) {
  using Layout = StepLayout<kHeadDim>;
  constexpr int kRowsAtOnce = kNumThreads / Layout::kRowChunks;
  static_assert(kNumThreads % Layout::kRowChunks == 0);
  const AttentionShape& shape = args.shape;
  const int64_t stride = (shape.num_heads + 2 * shape.num_kv_heads) * kHeadDim;
  const int chunk = thread % Layout::kRowChunks;
  const T* chunks = static_cast<const T*>(args.qkv) + chunk * 8;
  const auto [stage, parity] = PlaceOf(round);
  WaitBarrier(&shared.work_empty[stage], parity ^ 1);
  if (thread == 0) shared.works[stage] = work;
  if (work.num_keys > 0) {
#pragma unroll 4
    for (int row = thread / Layout::kRowChunks; row < kQueries; row += kRowsAtOnce) {
      // Rows past the end are copies of the last one, whose results are dropped.
      const int query = min(work.first_query + row, work.num_queries - 1);
      const auto [token, head] = PlaceOfQuery(work, query);
      CopyChunkAsync(shared.queries[stage] + Layout::KeyChunk(row, chunk),
                     chunks + token * stride + head * kHeadDim);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    FenceSharedForCopies();
  }
  Arrive(&shared.work_full[stage]);
}

template <int kHeadDim, int kElementBytes>
__device__ __forceinline__ const uint8_t* TileOf(const AttentionArgs& args, const Work& work,
                                                 int tile) {
  const int64_t block = args.blocks[work.blocks_start + tile];
  return static_cast<const uint8_t*>(args.kv) +
         (block * args.shape.num_kv_heads + work.kv_head) * KvTile<kHeadDim, kElementBytes>::kBytes;
}

// One warp brings a work's steps, the ring's `ring`th on. Tiles past the last key are not
// brought: whatever lies in their place is masked (keys) or overwritten with zeros
// (values) by the consumers.
template <int kHeadDim>
__device__ void CopySteps(const AttentionArgs& args, const Work& work, int ring,
                          Shared<kHeadDim>& shared) {
  using Layout = StepLayout<kHeadDim>;
  using Tile = KvTile<kHeadDim, 2>;
  constexpr int kTilePieceBytes = kTileTokens * 128;
  const Steps steps = OwnSteps(work);
  const int lane = threadIdx.x % kWarpLanes;
  const int lane_tile = lane % kStepTiles;
  const int piece = lane / kStepTiles;
  const int num_tiles = CeilDiv(work.num_keys, kTileTokens);
  for (int step = steps.first; step < steps.end; ++step) {
    const auto [stage, parity] = PlaceOf(ring + step - steps.first);
    const int step_tiles = min(kStepTiles, num_tiles - step * kStepTiles);
    const bool copies = lane_tile < step_tiles;
    const uint8_t* tile = nullptr;
    if (copies) tile = TileOf<kHeadDim, 2>(args, work, step * kStepTiles + lane_tile);

    WaitBarrier(&shared.keys_empty[stage], parity ^ 1);
    if (lane == 0) ArriveExpectingBytes(&shared.keys_full[stage], step_tiles * Layout::kTileBytes);
    __syncwarp();
    if (copies && piece < Layout::kPieces) {
      CopyBulk(shared.keys[stage] + piece * Layout::kPieceBytes + lane_tile * kTilePieceBytes,
               tile + Tile::kKeysOffset + piece * kTilePieceBytes, kTilePieceBytes,
               &shared.keys_full[stage]);
    }
    WaitBarrier(&shared.values_empty[stage], parity ^ 1);
    if (lane == 0) {
      ArriveExpectingBytes(&shared.values_full[stage], step_tiles * Layout::kTileBytes);
    }
    __syncwarp();
    if (copies && piece == 0) {
      CopyBulk(shared.values[stage] + lane_tile * Layout::kTileBytes, tile + Tile::kValuesOffset,
               Layout::kTileBytes, &shared.values_full[stage]);
    }
  }
}

// fp8: the pool's 16-byte chunks of a step's keys or values that a thread converts:
// the same chunk of the same token of each tile, or (D = 64) of every other tile.
template <int kHeadDim>
struct Fp8Chunks {
  using Tile = KvTile<kHeadDim, 1>;
  static constexpr int kTileChunks = kTileTokens * Tile::kChunksPerRow;
  static constexpr int kTilesAtOnce = kWarpgroup / kTileChunks;
  static constexpr int kCount = kStepTiles / kTilesAtOnce;
  uint4 numbers[kCount];
  float scales[kCount];

  __device__ static int FirstTile() { return threadIdx.x / kTileChunks; }
  __device__ static int Token() { return threadIdx.x / Tile::kChunksPerRow % kTileTokens; }
  __device__ static int Chunk() { return threadIdx.x % Tile::kChunksPerRow; }
};

template <int kHeadDim>
__device__ __forceinline__ void LoadFp8(const AttentionArgs& args, const Work& work, int step,
                                        bool values, Fp8Chunks<kHeadDim>& chunks) {
  using Tile = KvTile<kHeadDim, 1>;
  const int num_tiles = CeilDiv(work.num_keys, kTileTokens);
  const int chunk_offset = (values ? Tile::kValuesOffset : Tile::kKeysOffset) +
                           Tile::ChunkOffset(chunks.Token(), chunks.Chunk());
  const int scale_offset =
      (values ? Tile::kValueScalesOffset : Tile::kKeyScalesOffset) + chunks.Token() * 4;
#pragma unroll
  for (int i = 0; i < chunks.kCount; ++i) {
    const int tile = step * kStepTiles + i * chunks.kTilesAtOnce + chunks.FirstTile();
    chunks.numbers[i] = make_uint4(0, 0, 0, 0);
    chunks.scales[i] = 0;
    if (tile >= num_tiles) continue;
    const uint8_t* from = TileOf<kHeadDim, 1>(args, work, tile);
    chunks.numbers[i] = *reinterpret_cast<const uint4*>(from + chunk_offset);
    chunks.scales[i] = *reinterpret_cast<const float*>(from + scale_offset);
  }
}

template <class T>
__device__ __forceinline__ uint2 FourFromFp8(uint32_t numbers, float scale) {
  const float2 low = UnpackPair<__half>(Fp8PairToHalves(numbers & 0xffff));
  const float2 high = UnpackPair<__half>(Fp8PairToHalves(numbers >> 16));
  return make_uint2(PackPair<T>(low.x * scale, low.y * scale),
                    PackPair<T>(high.x * scale, high.y * scale));
}

// A chunk of 16 numbers of one byte becomes two.
template <class T, int kHeadDim>
__device__ __forceinline__ void StoreConverted(const Fp8Chunks<kHeadDim>& chunks, bool values,
                                               uint8_t* to) {
  using Layout = StepLayout<kHeadDim>;
  const int tile_bytes = values ? Layout::kTileBytes : kTileTokens * 128;
  uint8_t* halves[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int chunk = 2 * chunks.Chunk() + half;
    halves[half] = to + chunks.FirstTile() * tile_bytes +
                   (values ? Layout::ValueChunk(chunks.Token(), chunk)
                           : Layout::KeyChunk(chunks.Token(), chunk));
  }
#pragma unroll
  for (int i = 0; i < chunks.kCount; ++i) {
    const uint2 a = FourFromFp8<T>(chunks.numbers[i].x, chunks.scales[i]);
    const uint2 b = FourFromFp8<T>(chunks.numbers[i].y, chunks.scales[i]);
    const uint2 c = FourFromFp8<T>(chunks.numbers[i].z, chunks.scales[i]);
    const uint2 d = FourFromFp8<T>(chunks.numbers[i].w, chunks.scales[i]);
    const int offset = i * chunks.kTilesAtOnce * tile_bytes;
    *reinterpret_cast<uint4*>(halves[0] + offset) = make_uint4(a.x, a.y, b.x, b.y);
    *reinterpret_cast<uint4*>(halves[1] + offset) = make_uint4(c.x, c.y, d.x, d.y);
  }
}

// The producer warpgroup, for fp8. A step's numbers are on their way to registers
// while the producer waits for room for those before them.
template <class T, int kHeadDim>
__device__ void ConvertSteps(const AttentionArgs& args, const Work& work, int ring,
                             Shared<kHeadDim>& shared) {
  const Steps steps = OwnSteps(work);
  Fp8Chunks<kHeadDim> keys, values;
  LoadFp8<kHeadDim>(args, work, steps.first, /*values=*/false, keys);
  LoadFp8<kHeadDim>(args, work, steps.first, /*values=*/true, values);
  for (int step = steps.first; step < steps.end; ++step) {
    const auto [stage, parity] = PlaceOf(ring + step - steps.first);
    WaitBarrier(&shared.keys_empty[stage], parity ^ 1);
    StoreConverted<T, kHeadDim>(keys, /*values=*/false, shared.keys[stage]);
    FenceSharedForCopies();
    Arrive(&shared.keys_full[stage]);
    LoadFp8<kHeadDim>(args, work, step + 1, /*values=*/false, keys);
    WaitBarrier(&shared.values_empty[stage], parity ^ 1);
    StoreConverted<T, kHeadDim>(values, /*values=*/true, shared.values[stage]);
    FenceSharedForCopies();
    Arrive(&shared.values_full[stage]);
    LoadFp8<kHeadDim>(args, work, step + 1, /*values=*/true, values);
  }
}

// The producer's part in all works. 16-bit: a warp copies keys and values, the others
// queries, each ahead of the consumers as far as there is room. fp8: all do all.
template <bool kFp8>
constexpr int kQueryLoaders = kFp8 ? kWarpgroup : kWarpgroup - kWarpLanes;

template <class T, int kHeadDim, bool kFp8>
__device__ void Produce(const AttentionArgs& args, Deal deal, Shared<kHeadDim>& shared) {
  constexpr int kLoaders = kQueryLoaders<kFp8>;
  const int warp = threadIdx.x / kWarpLanes;
  int ring = 0;
  for (int round = 0; round < deal.NumRounds(); ++round) {
    const Work work = FindWork(args, deal.WorkIn(round), &shared.producer_works[warp]);
    if constexpr (kFp8) {
      LoadQueries<T, kHeadDim, kLoaders>(args, work, round, threadIdx.x, shared);
      ConvertSteps<T, kHeadDim>(args, work, ring, shared);
    } else if (warp == 0) {
      CopySteps<kHeadDim>(args, work, ring, shared);
    } else {
      LoadQueries<T, kHeadDim, kLoaders>(args, work, round, threadIdx.x - kWarpLanes, shared);
    }
    ring += OwnSteps(work).Count();
  }
}

}  // namespace weft::worker::ops::cuda::prefill
