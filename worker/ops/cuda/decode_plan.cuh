// Decode attention: its constants, and which units a CTA takes. The terms are
// explained in decode_attention.cu.
#pragma once

#include <climits>
#include <type_traits>

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/numbers.cuh"

namespace weft::worker::ops::cuda::decode {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpLanes;
constexpr int kTileHeads = 8;  // the tensor core's n

// Room for partial results; no configuration launches more.
constexpr int kMaxCtasPerSm = 3;

// fp8 only. Powers of two that keep fp16 operands in range, undone in fp32: queries
// up to 2^20 stay finite, and P times a value scale stays a normal number for values
// from 1e-4 to 2^14.
constexpr float kQueryShrink = 1.0f / 16;
constexpr float kValueGrow = 1024.0f;

// With few rows the kernel's length is a chain of latencies, and what counts is that
// it starts while the projection in front of it still holds its shared memory, and
// leaves room for the one behind: one CTA a SM, short rings. Where tiles are large, these
// rings keep the memory busy with many rows, too.
template <class Element, int kDim, bool kIsFp8, bool kFew>
struct Config {
  static constexpr bool kFewRows = kFew;
  using T = Element;                                            // of qkv and out
  using Operand = std::conditional_t<kIsFp8, __half, Element>;  // of the tensor cores
  using Tile = KvTile<kDim, kIsFp8 ? 1 : 2>;
  static constexpr int kHeadDim = kDim;
  static constexpr bool kFp8 = kIsFp8;
  static constexpr int kSteps = kDim / 16;  // of K Q^T along D; also 16-row parts of O^T

  // HBM at full speed wants some 40 KiB in flight a SM. All but one stage of each
  // warp's ring are: 64 to 128 KiB here, as the rest of shared memory permits.
  static constexpr int kCtasPerSm = kFewRows ? 1 : 3;
  static constexpr int kStages = kFewRows ? 2 : Tile::kBytes > 3000 ? 3 : 4;
  static_assert(kCtasPerSm <= kMaxCtasPerSm);

  // Shared memory: rings, results [warp][head][D + padding], maxima and sums
  // [warp][head], barriers [warp][stage]. The padding spreads a C fragment's columns
  // over the banks.
  static constexpr int kResultStride = kDim + 4;
  static constexpr int kRingBytes = kStages * Tile::kBytes;
  static constexpr int kResultsOffset = kWarps * kRingBytes;
  static constexpr int kMaximaOffset =
      kResultsOffset + kWarps * kTileHeads * kResultStride * int{sizeof(float)};
  static constexpr int kSumsOffset = kMaximaOffset + kWarps * kTileHeads * int{sizeof(float)};
  static constexpr int kBarriersOffset = kSumsOffset + kWarps * kTileHeads * int{sizeof(float)};
  static constexpr int kSharedBytes = kBarriersOffset + kWarps * kStages * int{sizeof(uint64_t)};
  static_assert(Tile::kBytes % 128 == 0 && kBarriersOffset % 8 == 0);
  static_assert(kCtasPerSm * (kSharedBytes + 1024) <= 228 * 1024);
};

struct Params {
  AttentionArgs args;
  int group;          // query heads a KV head
  int head_tiles;     // a KV head
  int items_per_row;  // KV heads times head tiles
  bool has_own_ctas;  // each item; else ranges of units are cut without regard for items
  float score_scale;  // to the exponent of 2
  float* partials;    // [CTA][2] slots
  int* counters;      // [row][item of the row], zero between launches
};

// A partial result: O [kTileHeads][D], normalized, then log2 of the sum of 2^score
// [kTileHeads].
constexpr int SlotFloats(int head_dim) { return kTileHeads * (head_dim + 1); }

struct Item {
  int row;
  int index;  // in the row
  int first_unit;
  int num_units;
  int first_block;  // where the row's start in `blocks`
};

// The CTA's units, [begin, end). Empty for CTAs beyond the work.
struct Share {
  int units_per_cta;
  int row;  // not after that of `begin`
  int begin;
  int end;
  int first_cta = 0;  // of the item, if items have their own
};

struct Piece {
  Item item;
  int begin;  // units
  int end;
  int kv_head;
  int first_head;  // query heads
  int num_heads;
  int num_last_tokens;  // in the item's last block, the new one included
  // The CTAs that have pieces of the item, and the slot for the first one's result.
  // A range begins within an item at most once and ends within another at most once:
  // slot 0 is for the piece at its start, slot 1 for one that begins later.
  int first_cta;
  int num_ctas;
  int first_slot;
};

// a / b, rounded down, for 0 <= a < 2^24 and a / b < 2^22 (there __fdividef, good to two
// units in the last place, is off by less than one): shorter than the compiler's.
__device__ inline int Quotient(int a, int b) {
  int quotient = static_cast<int>(__fdividef(static_cast<float>(a), static_cast<float>(b)));
  const int rest = a - quotient * b;
  if (rest < 0) --quotient;
  if (rest >= b) ++quotient;
  return quotient;
}

// At least how many of an item's units one CTA should take. More CTAs read faster but
// leave more partial results to the one that merges them: as many pieces as units a
// piece is near the best; and every warp should have a unit.
__device__ inline int MinUnits(int item_units) {
  if (item_units < kWarps) return max(item_units, 1);
  return kWarps * max(1, __float2int_rn(sqrtf(static_cast<float>(item_units)) / kWarps));
}

// Brings what stands there into L1, without waiting.
__device__ inline void Touch(const int32_t* p) {
  [[maybe_unused]] int x;
  asm volatile("ld.global.b32 %0, [%1];" : "=r"(x) : "l"(p));
}

constexpr int kMaxRowsWithOwnCtas = kWarpLanes;  // a lane minds a row

// Items in pieces for CTAs of their own, as short as the number of CTAs permits: the row
// of n units has ceil(n / u) pieces of each of its items, u the least with which all are
// no more than CTAs. (Cut without regard for items, most CTAs would have two pieces, one
// after the other.) All lanes call together.
__device__ inline Share ShareOfItem(const Params& p) {
  const int lane = threadIdx.x % kWarpLanes, num_rows = p.args.num_decode_rows;
  const int32_t* sums = p.args.decode_block_sums;
  const int my_begin = sums[min(lane, num_rows)];
  const int my_units = sums[min(lane + 1, num_rows)] - my_begin;
  if (lane < num_rows) {  // for ItemOf and PieceAt
    Touch(p.args.block_starts + lane);
    Touch(p.args.positions + lane);
  }
  const int least = MinUnits(my_units);
  const auto pieces = [&](int units) {
    units = max(units, least);
    return Quotient(my_units + units - 1, units);
  };
  const int num_ctas = gridDim.x, num_units = sums[num_rows] * p.items_per_row;
  int low = Quotient(num_units + num_ctas - 1, num_ctas);
  int high = __reduce_max_sync(kAllLanes, my_units);  // a piece an item
  for (int units = low; low < high; units = (low + high) / 2) {
    const int needed = __reduce_add_sync(kAllLanes, pieces(units)) * p.items_per_row;
    if (needed <= num_ctas) {
      high = units;
    } else {
      low = units + 1;
    }
  }
  const int my_pieces = pieces(high);
  int my_end_cta = my_pieces * p.items_per_row;
  for (int lanes = 1; lanes < kWarpLanes; lanes *= 2) {
    const int before = __shfl_up_sync(kAllLanes, my_end_cta, lanes);
    if (lane >= lanes) my_end_cta += before;
  }
  const int cta = blockIdx.x;
  const int row = __popc(__ballot_sync(kAllLanes, my_end_cta <= cta));
  if (row >= num_rows) return {1, 0, 0, 0};
  const int num_pieces = __shfl_sync(kAllLanes, my_pieces, row);
  const int row_begin = __shfl_sync(kAllLanes, my_begin, row);
  const int row_units = __shfl_sync(kAllLanes, my_units, row);
  const int row_cta = __shfl_sync(kAllLanes, my_end_cta, row) - num_pieces * p.items_per_row;
  const int index = Quotient(cta - row_cta, num_pieces);
  const int first_cta = row_cta + index * num_pieces;
  const int per_cta = Quotient(row_units + num_pieces - 1, num_pieces);
  const int begin = (cta - first_cta) * per_cta;
  const int first = row_begin * p.items_per_row + index * row_units;
  return {per_cta, row, first + min(begin, row_units), first + min(begin + per_cta, row_units),
          first_cta};
}

// The row of a unit, by all lanes together: each step narrows the rows 32-fold. The
// first step's loads need no unit and so come ahead of it.
class RowSearch {
 public:
  __device__ explicit RowSearch(const Params& p)
      : stride_((p.args.num_decode_rows + kWarpLanes - 1) / kWarpLanes),
        sum_(SumAt(p, Lane() * stride_, p.args.num_decode_rows)) {
    // Up to 8 rows apart, this brings all that ItemOf and PieceAt read into L1.
    const int row = min(Lane() * stride_, p.args.num_decode_rows - 1);
    Touch(p.args.block_starts + row);
    Touch(p.args.positions + row);
  }

  __device__ int Find(int block, const Params& p) const {
    int row = 0, num_rows = p.args.num_decode_rows, stride = stride_, sum = sum_;
    while (true) {
      const int passed = (__popc(__ballot_sync(kAllLanes, sum <= block)) - 1) * stride;
      row += passed;
      num_rows = min(stride, num_rows - passed);
      if (num_rows == 1) return row;
      stride = (num_rows + kWarpLanes - 1) / kWarpLanes;
      sum = SumAt(p, row + Lane() * stride, row + num_rows);
    }
  }

 private:
  __device__ static int Lane() { return threadIdx.x % kWarpLanes; }
  __device__ static int SumAt(const Params& p, int row, int end) {
    return row < end ? p.args.decode_block_sums[row] : INT_MAX;
  }

  int stride_;
  int sum_;
};

__device__ inline Share ShareOfAll(const Params& p) {
  const RowSearch search(p);
  const int num_blocks = p.args.decode_block_sums[p.args.num_decode_rows];
  const int num_units = num_blocks * p.items_per_row;
  const int num_ctas = gridDim.x;
  const int per_cta = max(Quotient(num_units + num_ctas - 1, num_ctas),
                          MinUnits(Quotient(num_blocks, p.args.num_decode_rows)));
  // Less than 2^31: no more than num_units and a CTA's share over.
  const int begin = min(static_cast<int>(blockIdx.x) * per_cta, num_units);
  if (begin == num_units) return {per_cta, 0, begin, begin};
  const int row = search.Find(Quotient(begin, p.items_per_row), p);
  return {per_cta, row, begin, min(begin + per_cta, num_units)};
}

// The item of a unit, which is in this row or a later one.
__device__ inline Item ItemOf(const Params& p, int row, int unit) {
  const int32_t* sums = p.args.decode_block_sums;
  const int block = Quotient(unit, p.items_per_row);
  // All loads at once, since the row is rarely a later one.
  int row_begin = sums[row], row_end = sums[row + 1], first_block = p.args.block_starts[row];
  while (block >= row_end) {
    ++row;
    row_begin = row_end;
    row_end = sums[row + 1];
    first_block = p.args.block_starts[row];
  }
  const int num_units = row_end - row_begin;
  const int first = row_begin * p.items_per_row;
  const int index = Quotient(unit - first, num_units);
  return {row, index, first + index * num_units, num_units, first_block};
}

__device__ inline Piece PieceAt(const Params& p, const Share& share, int row, int unit) {
  const Item item = ItemOf(p, row, unit);
  const int item_end = item.first_unit + item.num_units;
  Piece piece;
  piece.item = item;
  piece.begin = unit;
  piece.end = min(share.end, item_end);
  piece.kv_head = Quotient(item.index, p.head_tiles);
  const int head_tile = item.index - piece.kv_head * p.head_tiles;
  piece.first_head = piece.kv_head * p.group + head_tile * kTileHeads;
  piece.num_heads = min(kTileHeads, p.group - head_tile * kTileHeads);
  piece.num_last_tokens = p.args.positions[item.row] % kTileTokens + 1;
  if (p.has_own_ctas) {
    piece.first_cta = share.first_cta;
    piece.num_ctas = Quotient(item.num_units + share.units_per_cta - 1, share.units_per_cta);
    piece.first_slot = 0;
  } else {
    piece.first_cta = Quotient(item.first_unit, share.units_per_cta);
    piece.num_ctas = Quotient(item_end - 1, share.units_per_cta) - piece.first_cta + 1;
    piece.first_slot = item.first_unit > piece.first_cta * share.units_per_cta ? 1 : 0;
  }
  return piece;
}

// Bytes from the pool's start to the tile of a unit.
__device__ inline int64_t TileOffset(const Params& p, int row, int unit, int tile_bytes) {
  const Item item = ItemOf(p, row, unit);
  const int64_t block = p.args.blocks[item.first_block + unit - item.first_unit];
  const int kv_head = Quotient(item.index, p.head_tiles);
  return (block * p.args.shape.num_kv_heads + kv_head) * tile_bytes;
}

}  // namespace weft::worker::ops::cuda::decode
