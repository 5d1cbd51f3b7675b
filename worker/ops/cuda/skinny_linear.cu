#include <algorithm>

#include "worker/ops/cuda/skinny_linear.h"
#include "worker/ops/cuda/skinny_multiply.cuh"
#include "worker/ops/cuda/skinny_ring.cuh"

namespace weft::worker::ops::cuda {
namespace skinny {
namespace {

// A deep ring keeps the memory busy; what it leaves of the 227 KiB lets the next kernel,
// if it is a small one (attention, the square projections), fill its own meanwhile. Two
// large ones side by side are slower than one after the other: more than half. Measured
// on an H200, whole steps.
constexpr int kSharedBytesToOverlap = 128 * 1024;
constexpr int kStaticSharedBytes = 3 * 1024;  // of the kernel, and some to spare

int MaxSharedBytes(const DeviceFeatures& device) {
  return device.shared_bytes - kStaticSharedBytes;
}

// Weight tiles whose sums a warp keeps before warps add theirs up.
template <int kTokenTiles>
constexpr int kGroupTiles = 4 / kTokenTiles;

constexpr XPlace PlaceOfX(Epilogue epilogue, bool norm, bool in_registers) {
  if (in_registers) return XPlace::kRegisters;
  const bool has_many_tiles = epilogue == Epilogue::kSiluMul || epilogue == Epilogue::kFloat;
  return norm || has_many_tiles ? XPlace::kWholeInShared : XPlace::kInSlots;
}

// Warps' sums of a group of tiles: [tile][warp][token][row of 16]. Tokens lie 20 words
// apart: what a warp stores at once then falls into 32 banks.
template <int kTokenTiles>
struct GroupSums {
  static constexpr int kTokens = 8 * kTokenTiles;
  static constexpr int kTokenWords = kTileRows + 4;
  float* at;

  __device__ float* Of(int tile, int warp, int token) const {
    return at + ((tile * kConsumerWarps + warp) * kTokens + token) * kTokenWords;
  }
  __device__ void Put(int tile, const WarpSums<kTokenTiles>& sums) const {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, row = lane / 4;
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      float* to = Of(tile, warp, i * 8 + lane % 4 * 2);
      to[row] = sums[i][0][0] + sums[i][1][0];
      to[row + 8] = sums[i][0][2] + sums[i][1][2];
      to[kTokenWords + row] = sums[i][0][1] + sums[i][1][1];
      to[kTokenWords + row + 8] = sums[i][0][3] + sums[i][1][3];
    }
  }
  __device__ float Total(int tile, int row, int token) const {
    float total = 0;
#pragma unroll
    for (int warp = 0; warp < kConsumerWarps; ++warp) total += Of(tile, warp, token)[row];
    return total;
  }
};
constexpr int kGroupSumBytes = 4 * kConsumerWarps * 8 * (kTileRows + 4) * 4;  // of any template

template <class T, int kTokenTiles, bool kNorm, bool kInRegisters, Epilogue kEpilogue>
struct Consumer {
  static constexpr XPlace kPlace = PlaceOfX(kEpilogue, kNorm, kInRegisters);
  static constexpr int kGroup = kGroupTiles<kTokenTiles>;
  using Piece = XPiece<kTokenTiles>;

  const Params& p;
  char* whole_x;
  uint32_t x_barrier;  // whole_x is there
  float* squares;      // [warp][token]
  GroupSums<kTokenTiles> sums;
  const LinearArgs& a = p.args;
  const TileRange tiles{p};
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int slots_per_tile = NumSlotsPerTile(a.k), num_pieces = a.k / kMapColumns;
  const int weight_bytes = kSlotPieces * p.tile_rows * kLineBytes;

  __device__ void Run(Ring ring) const {
    Piece x[kRegisterSlots];
    uint4 norm_weights[kRegisterSlots][2];
    if constexpr (kInRegisters && kNorm) LoadNormWeights(norm_weights);
    WaitForPrevious();
    if constexpr (kInRegisters) LoadX(x);
    const float first_before = Before(tiles.begin * p.tile_rows + lane, warp, lane);
    if constexpr (kInRegisters && kNorm) PrepareX(norm_weights, x);
    if constexpr (kPlace == XPlace::kWholeInShared) {
      WaitBarrier(x_barrier, 0);
      if constexpr (kNorm) PrepareWholeX();
    }
    for (int first = tiles.begin; first < tiles.end; first += kGroup) {
      const int in_group = min(kGroup, tiles.end - first);
      for (int tile = 0; tile < in_group; ++tile) {
        WarpSums<kTokenTiles> tile_sums = {};
        if constexpr (kInRegisters) {
#pragma unroll
          for (int part = 0; part < kRegisterSlots; ++part) {
            if (part < slots_per_tile) MultiplySlot(ring, part, x[part], tile_sums);
          }
        } else {
          for (int part = 0; part < slots_per_tile; ++part) {
            MultiplySlot(ring, part, x[0], tile_sums);
          }
        }
        sums.Put(tile, tile_sums);
      }
      SyncConsumers();
      Finish(first, in_group, first_before);
      if (first + in_group < tiles.end) SyncConsumers();  // before sums are written again
    }
  }

  __device__ bool Has(int part) const { return part * kSlotPieces + warp < num_pieces; }

  // ---- x in registers ----

  __device__ void LoadNormWeights(uint4 (&weights)[kRegisterSlots][2]) const {
    const auto* from = static_cast<const uint4*>(a.norm_weight) + warp * 8 + lane % 4;
#pragma unroll
    for (int part = 0; part < kRegisterSlots; ++part) {
      if (!Has(part)) continue;
      weights[part][0] = __ldg(from + part * kSlotPieces * 8);
      weights[part][1] = __ldg(from + part * kSlotPieces * 8 + 4);
    }
  }

  __device__ void LoadX(Piece (&x)[kRegisterSlots]) const {
#pragma unroll
    for (int part = 0; part < kRegisterSlots; ++part) {
      if (Has(part)) x[part].template Load<T>(a, part * kSlotPieces + warp);
    }
  }

  __device__ void PrepareX(const uint4 (&weights)[kRegisterSlots][2],
                           Piece (&x)[kRegisterSlots]) const {
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      float sum = 0;
#pragma unroll
      for (int part = 0; part < kRegisterSlots; ++part) {
        if (!Has(part)) continue;
        sum += WeighAndSquare<T>(weights[part][0], x[part].halves[i][0]);
        sum += WeighAndSquare<T>(weights[part][1], x[part].halves[i][1]);
      }
      sum += __shfl_xor_sync(~0u, sum, 1);
      sum += __shfl_xor_sync(~0u, sum, 2);
      if (lane % 4 == 0) squares[warp * kMaxTokens + i * 8 + lane / 4] = sum;
    }
  }

  // ---- x in shared memory ----

  // Each warp the pieces that it alone will multiply: eight threads to a line, four
  // lines at a time.
  __device__ void PrepareWholeX() const {
    constexpr int kTurns = 2 * kTokenTiles;
    float sum[kTurns] = {};
    for (int part = 0; part < slots_per_tile && Has(part); ++part) {
      const int piece = part * kSlotPieces + warp;
      const uint4 weight = __ldg(static_cast<const uint4*>(a.norm_weight) + piece * 8 + lane % 8);
#pragma unroll
      for (int i = 0; i < kTurns; ++i) {
        const int token = i * 4 + lane / 8;
        if (token >= a.num_tokens) continue;
        auto* place =
            reinterpret_cast<uint4*>(whole_x + ChunkOffset(piece * a.num_tokens + token, lane % 8));
        uint4 values = *place;
        sum[i] += WeighAndSquare<T>(weight, values);
        *place = values;
      }
    }
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
#pragma unroll
      for (int offset = 4; offset > 0; offset /= 2) {
        sum[i] += __shfl_xor_sync(~0u, sum[i], offset);
      }
      if (lane % 8 == 0) squares[warp * kMaxTokens + i * 4 + lane / 8] = sum[i];
    }
    __syncwarp();
  }

  // ---- product ----

  __device__ void MultiplySlot(Ring& ring, int part, Piece& x,
                               WarpSums<kTokenTiles>& tile_sums) const {
    WaitBarrier(ring.Full(), ring.parity);
    if (Has(part)) {
      const char* low = ring.Slot();
      const char* high = low + (kEpilogue == Epilogue::kSiluMul ? weight_bytes : 8 * kLineBytes);
      if constexpr (kPlace == XPlace::kWholeInShared) {
        x.LoadLines(whole_x, (part * kSlotPieces + warp) * a.num_tokens, a.num_tokens);
      }
      if constexpr (kPlace == XPlace::kInSlots) {
        x.LoadLines(low + weight_bytes, warp * a.num_tokens, a.num_tokens);
      }
      MultiplyPiece<T, kTokenTiles>(low, high, warp * p.tile_rows, x, tile_sums);
    }
    __syncwarp();
    if (lane == 0) Arrive(ring.Empty());
    ring.Advance();
  }

  // ---- out ----

  // What is added to a product: what stands there, or the bias. Column `in_tile` counts
  // from a tile's first.
  __device__ float Before(int column, int token, int in_tile) const {
    if (kEpilogue != Epilogue::kAdd && kEpilogue != Epilogue::kStore) return 0;
    if (column >= a.n || token >= a.num_tokens || in_tile >= kTileRows) return 0;
    if (kEpilogue == Epilogue::kAdd) {
      return cuda::ToFloat(static_cast<const T*>(a.out)[int64_t{token} * a.n + column]);
    }
    return a.bias != nullptr ? cuda::ToFloat(static_cast<const T*>(a.bias)[column]) : 0;
  }

  // Adds up the group's sums and writes them out, a warp a token. `first_before` is what
  // this thread adds to its first output of the first tile, asked for long ago.
  __device__ void Finish(int first_tile, int num_tiles, float first_before) const {
    const int num_columns = num_tiles * p.tile_rows, first_column = first_tile * p.tile_rows;
    for (int token = warp; token < a.num_tokens; token += kConsumerWarps) {
      const float scale = kNorm ? NormScale<T>(a, squares, token) : 1;
      for (int i = lane; i < num_columns && first_column + i < a.n; i += kWarp) {
        int tile = 0, row = i;
        for (; row >= p.tile_rows; row -= p.tile_rows) ++tile;
        const int column = first_column + i;
        const bool is_first = first_tile == tiles.begin && token == warp && i < kTileRows;
        const float before = is_first ? first_before : Before(column, token, 0);
        float value = sums.Total(tile, row, token) * scale + before;
        if constexpr (kEpilogue == Epilogue::kSiluMul) {
          const float up = sums.Total(tile, row + 8, token) * scale;
          value = value / (1 + __expf(-value)) * up;
        }
        const int64_t at = int64_t{token} * a.n + column;
        if constexpr (kEpilogue == Epilogue::kFloat) {
          static_cast<float*>(a.out)[at] = value;
        } else {
          static_cast<T*>(a.out)[at] = cuda::FromFloat<T>(value);
        }
      }
    }
  }
};

// Shared memory, in this order: ring | whole x, if that is its place | sums of warps.
template <class T, int kTokenTiles, bool kNorm, bool kInRegisters, Epilogue kEpilogue>
__global__ void __launch_bounds__(kThreads, kTokenTiles == 1 ? 2 : 1)
    SkinnyLinearKernel(const __grid_constant__ Params params) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  __trap();  // DeviceFeatures::has_tensor_copies: not launched
#else
  constexpr XPlace kPlace = PlaceOfX(kEpilogue, kNorm, kInRegisters);
  extern __shared__ __align__(1024) char shared[];
  __shared__ __align__(8) uint64_t barriers[2 * kMaxStages + 1];
  __shared__ float squares[kConsumerWarps * kMaxTokens];
  const LinearArgs& a = params.args;
  const Ring ring = {.slots = shared,
                     .full = SharedAddress(barriers),
                     .empty = SharedAddress(barriers + kMaxStages),
                     .num_stages = params.num_stages,
                     .slot_bytes = params.slot_bytes};
  const uint32_t x_barrier = SharedAddress(barriers + 2 * kMaxStages);
  char* x = shared + ring.num_stages * ring.slot_bytes;
  char* sums = x + (kPlace == XPlace::kWholeInShared
                        ? NumSlotsPerTile(a.k) * kSlotPieces * a.num_tokens * kLineBytes
                        : 0);
  LetNextStart();
  if (threadIdx.x == kConsumers) {
    PrefetchMap(&params.weight_map);
    if (kPlace != XPlace::kRegisters) PrefetchMap(&params.x_map);
    for (int i = 0; i < ring.num_stages; ++i) {
      InitBarrier(ring.full + 8 * i, 1);
      InitBarrier(ring.empty + 8 * i, kConsumerWarps);
    }
    InitBarrier(x_barrier, 1);
    PublishBarriers();
  }
  __syncthreads();
  if (threadIdx.x < kConsumers) {
    Consumer<T, kTokenTiles, kNorm, kInRegisters, kEpilogue>{
        params, x, x_barrier, squares, {reinterpret_cast<float*>(sums)}}
        .Run(ring);
  } else if (threadIdx.x == kConsumers) {
    Producer<kPlace, kEpilogue>{params}.Run(ring, x, x_barrier);
  }
#endif
}

// ---- host ----

bool InRegisters(const LinearArgs& a) {
  return NumSlotsPerTile(a.k) <= kRegisterSlots && a.num_tokens <= 16;
}

XPlace PlaceOfX(const LinearArgs& a) {
  return PlaceOfX(a.epilogue, a.norm_weight != nullptr, InRegisters(a));
}

int TokenTiles(const LinearArgs& a) { return a.num_tokens <= 8 ? 1 : 2; }

int MaxTileRows(const LinearArgs& a) {
  return a.epilogue == Epilogue::kSiluMul ? kTileRows / 2 : kTileRows;
}

int DivideUp(int a, int b) { return (a + b - 1) / b; }

// The rows of a tile that leave the busiest block the fewest rows, even ones (LoadHalves);
// the more the better otherwise. 1536 rows over 132 blocks are 128 times 12.
int TileRows(const LinearArgs& a, int num_sms) {
  const auto most_rows = [&](int rows) { return DivideUp(DivideUp(a.n, rows), num_sms) * rows; };
  int best = MaxTileRows(a);
  for (int rows = best - 2; rows >= 8; rows -= 2) {
    if (most_rows(rows) < most_rows(best)) best = rows;
  }
  return best;
}

int NumTiles(const LinearArgs& a, int num_sms) { return DivideUp(a.n, TileRows(a, num_sms)); }

int SlotBytes(const LinearArgs& a, int num_sms) {
  const int weight_lines = TileRows(a, num_sms) * (a.epilogue == Epilogue::kSiluMul ? 2 : 1);
  const int x_lines = PlaceOfX(a) == XPlace::kInSlots ? a.num_tokens : 0;
  return kSlotPieces * (weight_lines + x_lines) * kLineBytes;
}

// Everything but the ring.
int FixedSharedBytes(const LinearArgs& a, int num_sms) {
  const int group = 4 / TokenTiles(a);
  const int tiles = std::min(group, DivideUp(NumTiles(a, num_sms), num_sms));
  const int x_bytes = NumSlotsPerTile(a.k) * kSlotPieces * a.num_tokens * kLineBytes;
  return kGroupSumBytes / group * tiles + (PlaceOfX(a) == XPlace::kWholeInShared ? x_bytes : 0);
}

// As deep a ring as leaves room for a neighbour, or at least the least one; never
// deeper than there is to stream.
int NumStages(const LinearArgs& a, const DeviceFeatures& device) {
  const int num_sms = device.num_sms, most_bytes = MaxSharedBytes(device);
  const int fixed = FixedSharedBytes(a, num_sms), slot = SlotBytes(a, num_sms);
  const int num_slots = DivideUp(NumTiles(a, num_sms), num_sms) * NumSlotsPerTile(a.k);
  const int most = std::min(kMaxStages, std::max(num_slots, kMinStages));
  const int fits = (std::min(kSharedBytesToOverlap, most_bytes) - fixed) / slot;
  if (fits >= kMinStages) return std::min(fits, most);
  return std::min((most_bytes - fixed) / slot, most);
}

// Calls `use` with the kernel that fits.
template <class T, int kTokenTiles, bool kNorm, bool kInRegisters, class Use>
cudaError_t WithKernel(Epilogue epilogue, Use use) {
  switch (epilogue) {
    case Epilogue::kStore:
      return use(SkinnyLinearKernel<T, kTokenTiles, kNorm, kInRegisters, Epilogue::kStore>);
    case Epilogue::kAdd:
      return use(SkinnyLinearKernel<T, kTokenTiles, false, kInRegisters, Epilogue::kAdd>);
    case Epilogue::kSiluMul:
      return use(SkinnyLinearKernel<T, kTokenTiles, kNorm, kInRegisters, Epilogue::kSiluMul>);
    case Epilogue::kFloat:
      return use(SkinnyLinearKernel<T, kTokenTiles, kNorm, kInRegisters, Epilogue::kFloat>);
  }
  return cudaErrorInvalidValue;
}

template <class T, int kTokenTiles, class Use>
cudaError_t WithKernel(const LinearArgs& a, Use use) {
  if constexpr (kTokenTiles == 4) {
    return use(SkinnyLinearKernel<T, kTokenTiles, false, false, Epilogue::kAdd>);
  } else {
    const bool norm = a.norm_weight != nullptr;
    if (InRegisters(a)) {
      return norm ? WithKernel<T, kTokenTiles, true, true>(a.epilogue, use)
                  : WithKernel<T, kTokenTiles, false, true>(a.epilogue, use);
    }
    return norm ? WithKernel<T, kTokenTiles, true, false>(a.epilogue, use)
                : WithKernel<T, kTokenTiles, false, false>(a.epilogue, use);
  }
}

template <class T, class Use>
cudaError_t WithKernel(const LinearArgs& a, Use use) {
  return TokenTiles(a) == 1 ? WithKernel<T, 1>(a, use) : WithKernel<T, 2>(a, use);
}

template <class Use>
cudaError_t WithKernel(const LinearArgs& a, Use use) {
  return a.dtype == DType::kFloat16 ? WithKernel<__half>(a, use)
                                    : WithKernel<__nv_bfloat16>(a, use);
}

}  // namespace
}  // namespace skinny

bool FitsSkinnyLinear(const LinearArgs& a, const DeviceFeatures& device) {
  const bool norm = a.norm_weight != nullptr;
  return device.has_tensor_copies() && a.dtype != DType::kFloat32 && a.num_tokens >= 1 &&
         a.num_tokens <= kMaxSkinnyTokens && a.k % kMapColumns == 0 &&
         !(norm && a.epilogue == Epilogue::kAdd) &&
         skinny::NumStages(a, device) >= skinny::kMinStages;
}

cudaError_t PrepareSkinnyLinear(const DeviceFeatures& device) {
  if (!device.has_tensor_copies()) return cudaSuccess;
  for (DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (int num_tokens : {8, 16}) {
      for (int k : {kMapColumns, 1 << 20}) {
        for (Epilogue epilogue :
             {Epilogue::kStore, Epilogue::kAdd, Epilogue::kSiluMul, Epilogue::kFloat}) {
          for (bool norm : {false, true}) {
            LinearArgs args;
            args.dtype = dtype;
            args.epilogue = epilogue;
            args.num_tokens = num_tokens;
            args.k = k;
            args.norm_weight = norm ? &args : nullptr;  // any address: it is not read
            const cudaError_t error = skinny::WithKernel(args, [&](auto kernel) {
              return AllowSharedBytes(kernel, skinny::MaxSharedBytes(device));
            });
            if (error != cudaSuccess) return error;
          }
        }
      }
    }
  }
  return cudaSuccess;
}

cudaError_t SkinnyLinear(const LinearArgs& args, const DeviceFeatures& device,
                         cudaStream_t stream) {
  using namespace skinny;
  if (!FitsSkinnyLinear(args, device)) return cudaErrorInvalidValue;
  const int num_sms = device.num_sms;
  Params params = {};
  params.args = args;
  params.tile_rows = TileRows(args, num_sms);
  params.num_tiles = NumTiles(args, num_sms);
  params.num_stages = NumStages(args, device);
  params.slot_bytes = SlotBytes(args, num_sms);
  const int weight_rows = args.n * (args.epilogue == Epilogue::kSiluMul ? 2 : 1);
  if (cudaError_t error = EncodeMatrix(args.weight, weight_rows, args.k, params.tile_rows,
                                       kSlotPieces, &params.weight_map);
      error != cudaSuccess) {
    return error;
  }
  if (!InRegisters(args)) {
    if (cudaError_t error = EncodeMatrix(args.x, args.num_tokens, args.k, args.num_tokens,
                                         kSlotPieces, &params.x_map);
        error != cudaSuccess) {
      return error;
    }
  }
  const Grid grid = {.blocks = dim3(std::min(num_sms, params.num_tiles)),
                     .threads = dim3(kThreads),
                     .shared_bytes = static_cast<size_t>(params.num_stages * params.slot_bytes +
                                                         FixedSharedBytes(args, num_sms))};
  return WithKernel(args, [&](auto kernel) { return Launch(kernel, grid, stream, params); });
}

}  // namespace weft::worker::ops::cuda
