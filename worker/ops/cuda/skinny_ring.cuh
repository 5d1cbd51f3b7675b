// Skinny linear: how a block's rows of the weight come through shared memory.
#pragma once

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/skinny_linear.h"
#include "worker/ops/cuda/tensor_map.h"

namespace weft::worker::ops::cuda::skinny {

constexpr int kWarp = 32;
constexpr int kConsumerWarps = 8;
constexpr int kConsumers = kConsumerWarps * kWarp;
constexpr int kThreads = kConsumers + kWarp;  // the last warp's first thread produces
constexpr int kTileRows = 16;                 // M of the tensor core's instruction
constexpr int kMaxTokens = kMaxSkinnyTokens;

// A slot of the ring holds up to 16 rows of 512 columns, as eight pieces of 64 columns:
// one for each warp. A tile, up to 16 rows of all columns, is so many slots.
constexpr int kSlotPieces = kConsumerWarps;
constexpr int kLineBytes = kMapColumns * 2;

constexpr int kMinStages = 3;
constexpr int kMaxStages = 12;

// Up to so many slots a tile (K = 1536) and 16 tokens, each thread reads its part of x
// once, straight into registers. A larger x goes through shared memory: whole where a
// block has many tiles, for each of which it is wanted again, or where it is prepared
// first; else with the slots.
constexpr int kRegisterSlots = 3;

struct Params {
  CUtensorMap weight_map, x_map;  // x_map: only for an x in shared memory
  LinearArgs args;
  int tile_rows = 0;  // of out's columns: at most 16, or 8 with kSiluMul
  int num_tiles = 0;
  int num_stages = 0;
  int slot_bytes = 0;
};

// Lines are swizzled as tensor_map.h says.
__device__ __forceinline__ int ChunkOffset(int line, int chunk) {
  return line * kLineBytes + ((chunk ^ (line & 7)) << 4);
}

__host__ __device__ constexpr int NumSlotsPerTile(int k) {
  return (k / kMapColumns + kSlotPieces - 1) / kSlotPieces;
}

// The tiles that this block computes, as many as any other, or one less.
struct TileRange {
  int begin, end;
  __device__ explicit TileRange(const Params& p)
      : begin(static_cast<int>(static_cast<uint32_t>(p.num_tiles) * blockIdx.x / gridDim.x)),
        end(static_cast<int>(static_cast<uint32_t>(p.num_tiles) * (blockIdx.x + 1) / gridDim.x)) {}
};

struct Ring {
  char* slots;
  uint32_t full, empty;  // barriers, eight bytes each
  int num_stages, slot_bytes;
  int slot = 0, parity = 0;

  __device__ char* Slot() const { return slots + slot * slot_bytes; }
  __device__ uint32_t Full() const { return full + 8 * slot; }
  __device__ uint32_t Empty() const { return empty + 8 * slot; }
  __device__ void Advance() {
    if (++slot == num_stages) {
      slot = 0;
      parity ^= 1;
    }
  }
};

// Where consumers find x.
enum class XPlace { kRegisters, kWholeInShared, kInSlots };

// Streams the block's weight, slot by slot, tile by tile, and x where it comes along.
// One thread.
template <XPlace kPlace, Epilogue kEpilogue>
struct Producer {
  const Params& p;
  const LinearArgs& a = p.args;
  const int slots_per_tile = NumSlotsPerTile(a.k);

  __device__ void CopyWeight(int tile, int part, const Ring& ring) const {
    ArriveExpectingBytes(ring.Full(), ring.slot_bytes);
    const uint32_t to = SharedAddress(ring.Slot());
    const int row = tile * p.tile_rows, piece = part * kSlotPieces;
    CopyBox(to, &p.weight_map, 0, row, piece, ring.Full());
    if (kEpilogue == Epilogue::kSiluMul) {  // the rows of up that go with those of gate
      const uint32_t behind = to + kSlotPieces * p.tile_rows * kLineBytes;
      CopyBox(behind, &p.weight_map, 0, a.n + row, piece, ring.Full());
    }
  }

  __device__ void CopyX(int part, const Ring& ring) const {
    const uint32_t to = SharedAddress(ring.Slot()) + kSlotPieces * p.tile_rows * kLineBytes;
    CopyBox(to, &p.x_map, 0, 0, part * kSlotPieces, ring.Full());
  }

  __device__ void CopyWholeX(char* x, uint32_t barrier) const {
    const int part_bytes = kSlotPieces * a.num_tokens * kLineBytes;
    ArriveExpectingBytes(barrier, slots_per_tile * part_bytes);
    for (int part = 0; part < slots_per_tile; ++part) {
      CopyBox(SharedAddress(x) + part * part_bytes, &p.x_map, 0, 0, part * kSlotPieces, barrier);
    }
  }

  __device__ void Run(Ring ring, char* x, uint32_t x_barrier) const {
    const TileRange tiles(p);
    const int num_slots = (tiles.end - tiles.begin) * slots_per_tile;
    const int num_ahead = min(num_slots, ring.num_stages);
    const Ring start = ring;
    int tile = tiles.begin, part = 0;
    const auto next = [&] {
      ring.Advance();
      if (++part == slots_per_tile) {
        part = 0;
        ++tile;
      }
    };
    for (int i = 0; i < num_ahead; ++i, next()) CopyWeight(tile, part, ring);
    if (kPlace == XPlace::kWholeInShared) {
      WaitForPrevious();
      CopyWholeX(x, x_barrier);
    }
    if (kPlace == XPlace::kInSlots) {
      WaitForPrevious();
      Ring behind = start;
      for (int i = 0; i < num_ahead; ++i, behind.Advance()) CopyX(i % slots_per_tile, behind);
    }
    for (int i = num_ahead; i < num_slots; ++i, next()) {
      // The slot's occupant, one round ago, has been read by all warps.
      WaitBarrier(ring.Empty(), ring.parity ^ 1);
      CopyWeight(tile, part, ring);
      if (kPlace == XPlace::kInSlots) CopyX(part, ring);
    }
  }
};

}  // namespace weft::worker::ops::cuda::skinny
