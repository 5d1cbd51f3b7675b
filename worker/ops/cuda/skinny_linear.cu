#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/skinny_linear.h"
#include "worker/ops/cuda/tensor_map.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kConsumerWarps = 8;
constexpr int kConsumers = kConsumerWarps * kWarp;
constexpr int kThreads = kConsumers + kWarp;  // the last warp's first thread produces
constexpr int kTileRows = 16;                 // M of the tensor core's instruction

// A slot of the ring holds up to 16 rows of 512 columns, as eight pieces of 64 columns:
// one for each warp.
constexpr int kSlotPieces = kConsumerWarps;
constexpr int kLineBytes = kMapColumns * 2;

// A deep ring keeps the memory busy; what it leaves of the 227 KiB lets the next kernel,
// if it is a small one (attention, the square projections), fill its own meanwhile. On an
// H200 a step's products are fastest with this much, slower by 8% with half of all.
constexpr int kSharedBytesToOverlap = 160 * 1024;
constexpr int kMaxSharedBytes = 224 * 1024;  // of 227, with what is static
constexpr int kMinStages = 3;
constexpr int kMaxStages = 12;

struct Params {
  CUtensorMap weight_map, x_map;
  SkinnyLinearArgs args;
  int tile_rows = 0;  // of out's columns: at most 16, or 8 with kSiluMul
  int num_tiles = 0;
  int num_stages = 0;
  int slot_bytes = 0;
};

// Weight tiles whose sums a warp keeps before warps add theirs up.
template <int kTokenTiles>
constexpr int kGroupTiles = 4 / kTokenTiles;

// Shared memory, in this order: ring | whole x and norm_weight, if x is normalized | sums
// of warps.
// All but the sums lie in swizzled lines (tensor_map.h).
__device__ __forceinline__ int ChunkOffset(int line, int chunk) {
  return line * kLineBytes + ((chunk ^ (line & 7)) << 4);
}

template <class T>
struct Pair;
template <>
struct Pair<__nv_bfloat16> {
  using Type = __nv_bfloat162;
  __device__ static float2 ToFloat(Type x) { return __bfloat1622float2(x); }
  __device__ static Type FromFloat(float2 x) { return __float22bfloat162_rn(x); }
};
template <>
struct Pair<__half> {
  using Type = __half2;
  __device__ static float2 ToFloat(Type x) { return __half22float2(x); }
  __device__ static Type FromFloat(float2 x) { return __float22half2_rn(x); }
};

__device__ __forceinline__ float ToFloat(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float ToFloat(__half x) { return __half2float(x); }
__device__ __forceinline__ void FromFloat(float x, __nv_bfloat16& out) {
  out = __float2bfloat16(x);
}
__device__ __forceinline__ void FromFloat(float x, __half& out) { out = __float2half(x); }

__device__ __forceinline__ void MultiplyAdd(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                            uint32_t a3, uint32_t b0, uint32_t b1, __nv_bfloat16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void MultiplyAdd(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                            uint32_t a3, uint32_t b0, uint32_t b1, __half) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void SyncConsumers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kConsumers) : "memory");
}

// The tiles that this block computes, as many as any other, or one less.
struct TileRange {
  int begin, end;
  __device__ explicit TileRange(const Params& p)
      : begin(static_cast<int>(int64_t{p.num_tiles} * blockIdx.x / gridDim.x)),
        end(static_cast<int>(int64_t{p.num_tiles} * (blockIdx.x + 1) / gridDim.x)) {}
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

__device__ __forceinline__ int NumSlotsPerTile(int k) {
  const int pieces = k / kMapColumns;
  return (pieces + kSlotPieces - 1) / kSlotPieces;
}

// Streams the block's weight, slot by slot, tile by tile; and x. A normalized x is
// wanted again for every tile: it is brought once, whole. Any other has one tile or
// few, and each part of it comes along with the weight's. One thread.
template <bool kNorm, Epilogue kEpilogue>
struct Producer {
  const Params& p;
  const SkinnyLinearArgs& a = p.args;
  const int slots_per_tile = NumSlotsPerTile(a.k);

  __device__ void CopyWeight(int tile, int part, const Ring& ring) const {
    ArriveExpecting(ring.Full(), ring.slot_bytes);
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

  __device__ void CopyNormWeight(char* to, uint32_t barrier) const {
    ArriveExpecting(barrier, a.k * 2 + slots_per_tile * XPartBytes());
    CopyBulk(SharedAddress(to), a.norm_weight, a.k * 2, barrier);
  }

  __device__ int XPartBytes() const { return kSlotPieces * a.num_tokens * kLineBytes; }

  // Behind CopyNormWeight.
  __device__ void CopyWholeX(char* x, uint32_t barrier) const {
    const int part_bytes = XPartBytes();
    for (int part = 0; part < slots_per_tile; ++part) {
      CopyBox(SharedAddress(x) + part * part_bytes, &p.x_map, 0, 0, part * kSlotPieces, barrier);
    }
  }

  __device__ void Run(Ring ring, char* norm_weight, char* x, uint32_t x_barrier) const {
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
    if (kNorm) CopyNormWeight(norm_weight, x_barrier);
    for (int i = 0; i < num_ahead; ++i, next()) CopyWeight(tile, part, ring);
    WaitForPrevious();
    if (kNorm) {
      CopyWholeX(x, x_barrier);
    } else {
      Ring behind = start;
      for (int i = 0; i < num_ahead; ++i, behind.Advance()) CopyX(i % slots_per_tile, behind);
    }
    for (int i = num_ahead; i < num_slots; ++i, next()) {
      // The slot's occupant, one round ago, has been read by all warps.
      WaitBarrier(ring.Empty(), ring.parity ^ 1);
      CopyWeight(tile, part, ring);
      if (!kNorm) CopyX(part, ring);
    }
  }
};

// Half precision ends at 65504, which x * norm_weight may pass before it is divided by
// rms(x): it is kept this much smaller, a power of two, until the sums are scaled.
template <class T>
constexpr float kPrescale = 1;
template <>
constexpr float kPrescale<__half> = 1.0f / 64;

// rms(x) is one number a token, so that it can be left to the end: the product is of
// x * norm_weight. Each warp prepares the pieces of x that it alone will multiply, and
// needs no other; the squares are added up when the sums are.
template <class T, int kTokenTiles>
struct NormSquares {
  static constexpr int kLines = 2 * kTokenTiles;  // of four tokens; a thread has one of each
  float squares[kLines] = {};

  __device__ void Prepare(const SkinnyLinearArgs& a, const uint4* norm_weight, char* x, int line,
                          int piece) {
    using P = Pair<T>;
    const int lane = threadIdx.x % kWarp, chunk = lane % 8;
    const uint4 w = norm_weight[piece * 8 + chunk];
    const auto* weights = reinterpret_cast<const typename P::Type*>(&w);
#pragma unroll
    for (int i = 0; i < kLines; ++i) {
      const int token = i * 4 + lane / 8;
      if (token >= a.num_tokens) continue;
      uint4& place = *reinterpret_cast<uint4*>(x + ChunkOffset(line + token, chunk));
      uint4 values = place;
      auto* pairs = reinterpret_cast<typename P::Type*>(&values);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float2 v = P::ToFloat(pairs[j]), by = P::ToFloat(weights[j]);
        squares[i] += v.x * v.x + v.y * v.y;
        pairs[j] = P::FromFloat({v.x * by.x * kPrescale<T>, v.y * by.y * kPrescale<T>});
      }
      place = values;
    }
    __syncwarp();
  }

  // To [warp][token].
  __device__ void Put(float* at) const {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
#pragma unroll
    for (int i = 0; i < kLines; ++i) {
      float sum = squares[i];
#pragma unroll
      for (int offset = 4; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
      if (lane % 8 == 0) at[warp * kMaxSkinnyTokens + i * 4 + lane / 8] = sum;
    }
  }
  __device__ static float Scale(const SkinnyLinearArgs& a, const float* at, int token) {
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kConsumerWarps; ++warp) sum += at[warp * kMaxSkinnyTokens + token];
    return rsqrtf(sum / a.k + a.epsilon) / kPrescale<T>;
  }
};

__device__ __forceinline__ void SwapIf(bool swap, uint4& a, uint4& b) {
  const uint4 old = a;
  a = swap ? b : a;
  b = swap ? old : b;
}

// The two halves, 32 columns each, of this thread's quarter of a line: 16 bytes at
// chunk `quarter` and at 4 + quarter. Threads of odd rows read them the other way round,
// so that a quarter of a warp, two rows of 64 bytes, meets each bank once.
__device__ __forceinline__ void LoadHalves(const char* lines, int line, int odd, int quarter,
                                           uint4& first, uint4& second) {
  first = *reinterpret_cast<const uint4*>(lines + ChunkOffset(line, quarter + 4 * odd));
  second = *reinterpret_cast<const uint4*>(lines + ChunkOffset(line, quarter + 4 - 4 * odd));
  SwapIf(odd, first, second);
}

// One warp's piece of a slot: 64 columns. A thread's 16 bytes are eight neighbouring
// columns of a row; the instruction would have others, but which column is which k does
// not matter as long as weight and x agree. `high` is where rows 8 to 15 lie.
template <class T, int kTokenTiles>
__device__ __forceinline__ void MultiplyPiece(const char* low, const char* high, int weight_line,
                                              const char* x, int x_line, int num_tokens,
                                              float (&sum)[kTokenTiles][4]) {
  const int lane = threadIdx.x % kWarp, row = lane / 4, odd = row & 1, quarter = lane % 4;
  uint4 low0, low1, high0, high1;
  LoadHalves(low, weight_line + row, odd, quarter, low0, low1);
  LoadHalves(high, weight_line + row, odd, quarter, high0, high1);
#pragma unroll
  for (int i = 0; i < kTokenTiles; ++i) {
    const int token = min(i * 8 + row, num_tokens - 1);
    uint4 x0, x1;
    LoadHalves(x, x_line + token, odd, quarter, x0, x1);
    MultiplyAdd(sum[i], low0.x, high0.x, low0.y, high0.y, x0.x, x0.y, T());
    MultiplyAdd(sum[i], low0.z, high0.z, low0.w, high0.w, x0.z, x0.w, T());
    MultiplyAdd(sum[i], low1.x, high1.x, low1.y, high1.y, x1.x, x1.y, T());
    MultiplyAdd(sum[i], low1.z, high1.z, low1.w, high1.w, x1.z, x1.w, T());
  }
}

// Warps' sums of a group of tiles: [tile][warp][token][row of 16]. Tokens lie 20 words
// apart: what a warp stores at once then falls into 32 banks.
template <int kTokenTiles>
struct Sums {
  static constexpr int kTokens = 8 * kTokenTiles;
  static constexpr int kTokenWords = kTileRows + 4;
  static constexpr int kTileBytes = kConsumerWarps * kTokens * kTokenWords * 4;
  float* at;

  __device__ float* Of(int tile, int warp, int token) const {
    return at + ((tile * kConsumerWarps + warp) * kTokens + token) * kTokenWords;
  }
  __device__ void Put(int tile, const float (&sum)[kTokenTiles][4]) const {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, row = lane / 4;
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      float* to = Of(tile, warp, i * 8 + lane % 4 * 2);
      to[row] = sum[i][0];
      to[row + 8] = sum[i][2];
      to[kTokenWords + row] = sum[i][1];
      to[kTokenWords + row + 8] = sum[i][3];
    }
  }
  __device__ float Total(int tile, int row, int token) const {
    float total = 0;
#pragma unroll
    for (int warp = 0; warp < kConsumerWarps; ++warp) total += Of(tile, warp, token)[row];
    return total;
  }
};

// Adds up the group's sums and writes out. Neighbouring threads write neighbouring
// columns of one token. `squares` is null where x is not normalized.
template <class T, int kTokenTiles, Epilogue kEpilogue>
__device__ void Finish(const Params& p, int first_tile, int num_tiles,
                       const Sums<kTokenTiles>& sums, const float* squares) {
  using Squares = NormSquares<T, kTokenTiles>;
  const SkinnyLinearArgs& a = p.args;
  const int num_columns = num_tiles * p.tile_rows;
  for (int i = threadIdx.x; i < num_columns * a.num_tokens; i += kConsumers) {
    const int token = i / num_columns;
    const int tile = i % num_columns / p.tile_rows, row = i % num_columns % p.tile_rows;
    const int column = first_tile * p.tile_rows + i % num_columns;
    if (column >= a.n) continue;
    const int64_t at = int64_t{token} * a.n + column;
    float before = 0;  // asked for early: it takes its time
    if constexpr (kEpilogue == Epilogue::kAdd) before = ToFloat(static_cast<T*>(a.out)[at]);
    if constexpr (kEpilogue == Epilogue::kStore) {
      if (a.bias != nullptr) before = ToFloat(static_cast<const T*>(a.bias)[column]);
    }
    const float scale = squares != nullptr ? Squares::Scale(a, squares, token) : 1;
    float value = sums.Total(tile, row, token) * scale + before;
    if constexpr (kEpilogue == Epilogue::kFloat) {
      static_cast<float*>(a.out)[at] = value;
    } else {
      if constexpr (kEpilogue == Epilogue::kSiluMul) {
        const float up = sums.Total(tile, row + 8, token) * scale;
        value = value / (1 + __expf(-value)) * up;
      }
      FromFloat(value, static_cast<T*>(a.out)[at]);
    }
  }
}

// The first outputs that Finish will add to are in L1 or L2 by then.
template <class T>
__device__ void PrefetchOut(const Params& p, const TileRange& tiles) {
  const SkinnyLinearArgs& a = p.args;
  const int token = threadIdx.x;
  if (token >= a.num_tokens) return;
  const T* at = static_cast<const T*>(a.out) + int64_t{token} * a.n + tiles.begin * p.tile_rows;
  asm volatile("prefetch.global.L1 [%0];" ::"l"(at));
}

template <class T, int kTokenTiles, bool kNorm, Epilogue kEpilogue>
__device__ void Consume(const Params& p, Ring ring, const uint4* norm_weight, char* whole_x,
                        uint32_t x_barrier, float* squares_space, float* sum_space) {
  constexpr int kGroup = kGroupTiles<kTokenTiles>;
  const SkinnyLinearArgs& a = p.args;
  const Sums<kTokenTiles> sums = {sum_space};
  const int warp = threadIdx.x / kWarp;
  const int slots_per_tile = NumSlotsPerTile(a.k), num_pieces = a.k / kMapColumns;
  const int weight_bytes = kSlotPieces * p.tile_rows * kLineBytes;
  const int weight_line = warp * p.tile_rows, x_line = warp * a.num_tokens;
  const TileRange tiles(p);
  NormSquares<T, kTokenTiles> squares;
  WaitForPrevious();
  if constexpr (kEpilogue == Epilogue::kAdd) PrefetchOut<T>(p, tiles);
  if constexpr (kNorm) WaitBarrier(x_barrier, 0);

  for (int first = tiles.begin; first < tiles.end; first += kGroup) {
    const int in_group = min(kGroup, tiles.end - first);
    for (int tile = 0; tile < in_group; ++tile) {
      float sum[kTokenTiles][4] = {};
      for (int part = 0; part < slots_per_tile; ++part, ring.Advance()) {
        const int piece = part * kSlotPieces + warp;
        char* x = whole_x + part * kSlotPieces * a.num_tokens * kLineBytes;
        if constexpr (kNorm) {
          if (first + tile == tiles.begin && piece < num_pieces) {
            squares.Prepare(a, norm_weight, x, x_line, piece);
          }
        }
        WaitBarrier(ring.Full(), ring.parity);
        char* low = ring.Slot();
        const char* high = low + (kEpilogue == Epilogue::kSiluMul ? weight_bytes : 8 * kLineBytes);
        if (!kNorm) x = low + weight_bytes;
        if (piece < num_pieces) {
          MultiplyPiece<T, kTokenTiles>(low, high, weight_line, x, x_line, a.num_tokens, sum);
        }
        __syncwarp();
        if (threadIdx.x % kWarp == 0) Arrive(ring.Empty());
      }
      sums.Put(tile, sum);
    }
    if (kNorm && first == tiles.begin) squares.Put(squares_space);
    SyncConsumers();
    Finish<T, kTokenTiles, kEpilogue>(p, first, in_group, sums, kNorm ? squares_space : nullptr);
    SyncConsumers();  // sums are read before the next group writes its own
  }
}

template <class T, int kTokenTiles, bool kNorm, Epilogue kEpilogue>
__global__ void __launch_bounds__(kThreads, 2)
    SkinnyLinearKernel(const __grid_constant__ Params params) {
  extern __shared__ __align__(1024) char shared[];
  __shared__ __align__(8) uint64_t barriers[2 * kMaxStages + 1];
  __shared__ float squares[kConsumerWarps * kMaxSkinnyTokens];
  const Ring ring = {.slots = shared,
                     .full = SharedAddress(barriers),
                     .empty = SharedAddress(barriers + kMaxStages),
                     .num_stages = params.num_stages,
                     .slot_bytes = params.slot_bytes};
  const uint32_t x_barrier = SharedAddress(barriers + 2 * kMaxStages);
  char* x = shared + ring.num_stages * ring.slot_bytes;
  char* norm_weight = x + (kNorm ? NumSlotsPerTile(params.args.k) * kSlotPieces *
                                       params.args.num_tokens * kLineBytes
                                 : 0);
  auto* sums = reinterpret_cast<float*>(norm_weight + (kNorm ? params.args.k * 2 : 0));
  LetNextStart();
  if (threadIdx.x == kConsumers) {
    for (int i = 0; i < ring.num_stages; ++i) {
      InitBarrier(ring.full + 8 * i, 1);
      InitBarrier(ring.empty + 8 * i, kConsumerWarps);
    }
    InitBarrier(x_barrier, 1);
    PublishBarriers();
  }
  __syncthreads();
  if (threadIdx.x < kConsumers) {
    Consume<T, kTokenTiles, kNorm, kEpilogue>(
        params, ring, reinterpret_cast<const uint4*>(norm_weight), x, x_barrier, squares, sums);
  } else if (threadIdx.x == kConsumers) {
    Producer<kNorm, kEpilogue>{params}.Run(ring, norm_weight, x, x_barrier);
  }
}

// ---- host ----

int TokenTiles(const SkinnyLinearArgs& a) { return a.num_tokens <= 8 ? 1 : 2; }

int MaxTileRows(const SkinnyLinearArgs& a) {
  return a.epilogue == Epilogue::kSiluMul ? kTileRows / 2 : kTileRows;
}

int DivideUp(int a, int b) { return (a + b - 1) / b; }

// The rows of a tile that leave the busiest block the fewest rows, even ones (LoadHalves);
// the more the better otherwise. 1536 rows over 132 blocks are 128 times 12.
int TileRows(const SkinnyLinearArgs& a, int num_sms) {
  const auto most_rows = [&](int rows) { return DivideUp(DivideUp(a.n, rows), num_sms) * rows; };
  int best = MaxTileRows(a);
  for (int rows = best - 2; rows >= 8; rows -= 2) {
    if (most_rows(rows) < most_rows(best)) best = rows;
  }
  return best;
}

int NumTiles(const SkinnyLinearArgs& a, int num_sms) { return DivideUp(a.n, TileRows(a, num_sms)); }

int SlotBytes(const SkinnyLinearArgs& a, int num_sms) {
  const int weight_lines = TileRows(a, num_sms) * (a.epilogue == Epilogue::kSiluMul ? 2 : 1);
  const int x_lines = a.norm_weight != nullptr ? 0 : a.num_tokens;
  return kSlotPieces * (weight_lines + x_lines) * kLineBytes;
}

int SlotsPerTile(const SkinnyLinearArgs& a) { return DivideUp(a.k, kSlotPieces * kMapColumns); }

// Everything but the ring.
int FixedSharedBytes(const SkinnyLinearArgs& a, int num_sms) {
  const int token_tiles = TokenTiles(a);
  const int tiles = std::min(4 / token_tiles, DivideUp(NumTiles(a, num_sms), num_sms));
  const int x_bytes = SlotsPerTile(a) * kSlotPieces * a.num_tokens * kLineBytes;
  return tiles * token_tiles * Sums<1>::kTileBytes +
         (a.norm_weight != nullptr ? x_bytes + a.k * 2 : 0);
}

// As deep a ring as leaves room for a neighbour, or at least the least one; never
// deeper than there is to stream.
int NumStages(const SkinnyLinearArgs& a, int num_sms) {
  const int fixed = FixedSharedBytes(a, num_sms), slot = SlotBytes(a, num_sms);
  const int num_slots = DivideUp(NumTiles(a, num_sms), num_sms) * SlotsPerTile(a);
  const int most = std::min(kMaxStages, std::max(num_slots, kMinStages));
  const int fits = (kSharedBytesToOverlap - fixed) / slot;
  if (fits >= kMinStages) return std::min(fits, most);
  return std::min((kMaxSharedBytes - fixed) / slot, most);
}

// Calls `use` with the kernel that fits.
template <class T, int kTokenTiles, class Use>
cudaError_t WithKernel(Epilogue epilogue, bool norm, Use use) {
  switch (epilogue) {
    case Epilogue::kStore:
      return norm ? use(SkinnyLinearKernel<T, kTokenTiles, true, Epilogue::kStore>)
                  : use(SkinnyLinearKernel<T, kTokenTiles, false, Epilogue::kStore>);
    case Epilogue::kAdd:
      return use(SkinnyLinearKernel<T, kTokenTiles, false, Epilogue::kAdd>);
    case Epilogue::kSiluMul:
      return use(SkinnyLinearKernel<T, kTokenTiles, true, Epilogue::kSiluMul>);
    case Epilogue::kFloat:
      return use(SkinnyLinearKernel<T, kTokenTiles, true, Epilogue::kFloat>);
  }
  return cudaErrorInvalidValue;
}

template <class T, class Use>
cudaError_t WithKernel(const SkinnyLinearArgs& a, Use use) {
  const bool norm = a.norm_weight != nullptr;
  return TokenTiles(a) == 1 ? WithKernel<T, 1>(a.epilogue, norm, use)
                            : WithKernel<T, 2>(a.epilogue, norm, use);
}

template <class Use>
cudaError_t WithKernel(const SkinnyLinearArgs& a, Use use) {
  return a.dtype == DType::kFloat16 ? WithKernel<__half>(a, use)
                                    : WithKernel<__nv_bfloat16>(a, use);
}

}  // namespace

bool FitsSkinnyLinear(const SkinnyLinearArgs& a, int num_sms) {
  const bool needs_norm = a.epilogue == Epilogue::kSiluMul || a.epilogue == Epilogue::kFloat;
  return a.dtype != DType::kFloat32 && a.num_tokens >= 1 && a.num_tokens <= kMaxSkinnyTokens &&
         a.k % kMapColumns == 0 && needs_norm <= (a.norm_weight != nullptr) &&
         (a.epilogue != Epilogue::kAdd || a.norm_weight == nullptr) &&
         NumStages(a, num_sms) >= kMinStages;
}

cudaError_t PrepareSkinnyLinear() {
  for (DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (int num_tokens : {8, 16}) {
      for (Epilogue epilogue :
           {Epilogue::kStore, Epilogue::kAdd, Epilogue::kSiluMul, Epilogue::kFloat}) {
        for (bool norm : {false, true}) {
          SkinnyLinearArgs args;
          args.dtype = dtype;
          args.epilogue = epilogue;
          args.num_tokens = num_tokens;
          args.norm_weight = norm ? &args : nullptr;  // any address: it is not read
          const cudaError_t error = WithKernel(
              args, [](auto kernel) { return AllowSharedBytes(kernel, kMaxSharedBytes); });
          if (error != cudaSuccess) return error;
        }
      }
    }
  }
  return cudaSuccess;
}

cudaError_t SkinnyLinear(const SkinnyLinearArgs& args, int num_sms, cudaStream_t stream) {
  if (!FitsSkinnyLinear(args, num_sms)) return cudaErrorInvalidValue;
  Params params = {};
  params.args = args;
  params.tile_rows = TileRows(args, num_sms);
  params.num_tiles = NumTiles(args, num_sms);
  params.num_stages = NumStages(args, num_sms);
  params.slot_bytes = SlotBytes(args, num_sms);
  const int weight_rows = args.n * (args.epilogue == Epilogue::kSiluMul ? 2 : 1);
  if (cudaError_t error = EncodeMatrix(args.weight, weight_rows, args.k, params.tile_rows,
                                       kSlotPieces, &params.weight_map);
      error != cudaSuccess) {
    return error;
  }
  if (cudaError_t error = EncodeMatrix(args.x, args.num_tokens, args.k, args.num_tokens,
                                       kSlotPieces, &params.x_map);
      error != cudaSuccess) {
    return error;
  }
  const Grid grid = {.blocks = dim3(std::min(num_sms, params.num_tiles)),
                     .threads = dim3(kThreads),
                     .shared_bytes = static_cast<size_t>(params.num_stages * params.slot_bytes +
                                                         FixedSharedBytes(args, num_sms))};
  return WithKernel(args, [&](auto kernel) { return Launch(kernel, grid, stream, params); });
}

}  // namespace weft::worker::ops::cuda
