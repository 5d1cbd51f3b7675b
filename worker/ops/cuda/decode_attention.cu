// Attention of the rows that have one token each. One kernel rotates the row's
// queries and its new key, stores the new key and value and attends.
//
// Work. A unit is one KV block (a tile) for up to eight query heads of one KV head (a
// head tile). An item is one row and head tile; its units are adjacent, and items
// follow each other row by row. The grid is fixed, since captured graphs replay it
// with other contexts: with few rows, each item has CTAs of its own, in number to its
// length; else each CTA takes an equal range of units, cut without regard for items. The
// part of an item in a CTA's range is a piece.
//
// A CTA's four warps take its units in turn. Each warp brings its tiles through a
// private ring in shared memory, filled by the copy engine, across pieces. A piece
// ends with the warps' results merged in shared memory. If it is the whole item, that
// is the output; otherwise it goes to the workspace, and the CTA that arrives last at
// the item's counter merges the pieces.
//
// Arithmetic. Scores are taken transposed, so that heads are the short side of the
// tensor core's 16 x 8 x 16:  S^T [16 tokens x 8 heads] = K Q^T, then, transposed in
// registers, O^T [D x 8 heads] += V^T P^T. Softmax in fp32, in powers of two. fp8 keys
// and values become fp16; their scales go to the scores and to P.
//
// Before sm_90 tiles are copied by ordinary loads, without overlap; before sm_80 there
// is no kernel.

#include <type_traits>

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/decode_plan.cuh"
#include "worker/ops/cuda/decode_warp.cuh"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/numbers.cuh"

namespace weft::worker::ops::cuda {

namespace decode {
namespace {

// ---- merging ----

// What a thread merges of a head's output: four elements of the lower half of D and four
// of the upper, so that all heads of a tile are merged at once.
struct HeadPart {
  int head;
  int d;  // of the lower four
};
template <class C>
__device__ HeadPart HeadPartOf() {
  constexpr int kThreadsPerHead = C::kHeadDim / 8;
  static_assert(kThreadsPerHead * kTileHeads <= kThreads);
  const int thread = threadIdx.x;
  return {thread / kThreadsPerHead, thread % kThreadsPerHead * 4};
}

struct Floats8 {
  float4 low = {0, 0, 0, 0};
  float4 high = {0, 0, 0, 0};

  // this = this * factor + weight * x
  __device__ void Blend(float factor, float weight, const Floats8& x) {
    low = Blend(low, factor, weight, x.low);
    high = Blend(high, factor, weight, x.high);
  }

 private:
  __device__ static float4 Blend(float4 a, float factor, float weight, float4 b) {
    return make_float4(a.x * factor + weight * b.x, a.y * factor + weight * b.y,
                       a.z * factor + weight * b.z, a.w * factor + weight * b.w);
  }
};

// Results of parts of an item merged for a thread's share of the output. A part has
// weights 2^(score - max), their sum and the outputs weighted by them.
struct Merger {
  float max = -INFINITY;
  float sum = 0;
  Floats8 out;

  // A part with max -infinity is empty, and its sum and output are finite.
  template <int n>
  __device__ void Add(const float (&maxima)[n], const float (&sums)[n], const Floats8 (&outs)[n]) {
    float new_max = max;
    for (int i = 0; i < n; ++i) new_max = fmaxf(new_max, maxima[i]);
    if (new_max == -INFINITY) return;
    float factor = Exp2(max - new_max);
    max = new_max;
    for (int i = 0; i < n; ++i) {
      const float weight = Exp2(maxima[i] - new_max);
      sum = sum * factor + weight * sums[i];
      out.Blend(factor, weight, outs[i]);
      factor = 1;
    }
  }

  // Sum 1; the maximum that goes with it is log2 of the sum of 2^score.
  __device__ void Normalize() {
    max += __log2f(sum);
    out.Blend(__fdividef(1, sum), 0, Floats8());
    sum = 1;
  }
};

template <class C>
__device__ void StoreOut(const Params& p, const Piece& piece, HeadPart part, const Floats8& x) {
  using T = typename C::T;
  const int64_t row = static_cast<int64_t>(piece.item.row) * p.args.shape.num_heads;
  T* out =
      static_cast<T*>(p.args.out) + (row + piece.first_head + part.head) * C::kHeadDim + part.d;
  *reinterpret_cast<uint2*>(out) =
      make_uint2(PackPair<T>(x.low.x, x.low.y), PackPair<T>(x.low.z, x.low.w));
  *reinterpret_cast<uint2*>(out + C::kHeadDim / 2) =
      make_uint2(PackPair<T>(x.high.x, x.high.y), PackPair<T>(x.high.z, x.high.w));
}

__device__ int* CounterOf(const Params& p, const Item& item) {
  return p.counters + item.row * p.items_per_row + item.index;
}

__device__ float* SlotOf(const Params& p, const Piece& piece, int cta, int head_dim) {
  const int slot = cta == piece.first_cta ? piece.first_slot : 0;
  return p.partials + (2 * static_cast<int64_t>(cta) + slot) * SlotFloats(head_dim);
}

// The results of the CTA's warps.
template <class C>
__device__ Merger MergeWarps(const unsigned char* shared, HeadPart part) {
  float maxima[kWarps], sums[kWarps];
  Floats8 outs[kWarps];
  for (int i = 0; i < kWarps; ++i) {
    const int at = i * kTileHeads + part.head;
    maxima[i] = reinterpret_cast<const float*>(shared + C::kMaximaOffset)[at];
    sums[i] = reinterpret_cast<const float*>(shared + C::kSumsOffset)[at];
    const float* result =
        reinterpret_cast<const float*>(shared + C::kResultsOffset) + at * C::kResultStride + part.d;
    outs[i].low = *reinterpret_cast<const float4*>(result);
    outs[i].high = *reinterpret_cast<const float4*>(result + C::kHeadDim / 2);
  }
  Merger merger;
  merger.Add(maxima, sums, outs);
  merger.Normalize();
  return merger;
}

template <class C>
__device__ void StoreSlot(const Params& p, const Piece& piece, HeadPart part,
                          const Merger& merged) {
  float* slot = SlotOf(p, piece, blockIdx.x, C::kHeadDim);
  float* out = slot + part.head * C::kHeadDim + part.d;
  *reinterpret_cast<float4*>(out) = merged.out.low;
  *reinterpret_cast<float4*>(out + C::kHeadDim / 2) = merged.out.high;
  if (part.d == 0) slot[kTileHeads * C::kHeadDim + part.head] = merged.max;
}

// The partial results of the piece's item. Read past L1, which may hold the
// neighbouring slot's line from before.
template <class C>
__device__ Merger MergeSlots(const Params& p, const Piece& piece, HeadPart part) {
  const int last = piece.first_cta + piece.num_ctas - 1;
  constexpr int kAtOnce = 10;  // loads in flight, as registers permit
  Merger merger;
#pragma unroll 1
  for (int cta = piece.first_cta; cta <= last; cta += kAtOnce) {
    float maxima[kAtOnce], sums[kAtOnce];
    Floats8 outs[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const bool is_part = cta + i <= last;
      maxima[i] = -INFINITY;
      sums[i] = 1;
      if (is_part) {
        const float* slot = SlotOf(p, piece, cta + i, C::kHeadDim);
        const float* out = slot + part.head * C::kHeadDim + part.d;
        maxima[i] = __ldcg(slot + kTileHeads * C::kHeadDim + part.head);
        outs[i].low = __ldcg(reinterpret_cast<const float4*>(out));
        outs[i].high = __ldcg(reinterpret_cast<const float4*>(out + C::kHeadDim / 2));
      }
    }
    merger.Add(maxima, sums, outs);
  }
  merger.Normalize();
  return merger;
}

// Merges what the warps stored in shared memory, into `out` or the workspace. All
// threads call together.
template <class C>
__device__ void FinishPiece(const Params& p, const Piece& piece, const unsigned char* shared) {
  const HeadPart part = HeadPartOf<C>();
  __syncthreads();
  if (part.head < piece.num_heads) {
    const Merger merged = MergeWarps<C>(shared, part);
    if (piece.num_ctas == 1) {
      StoreOut<C>(p, piece, part, merged.out);
    } else {
      StoreSlot<C>(p, piece, part, merged);
    }
  }
  __syncthreads();
}

// A piece that is not its whole item.
struct PartialPiece {
  Piece piece;
  bool exists = false;
  int num_before = 0;  // thread 0: of the item's pieces, how many were finished earlier
};

// Adds once all writes that this thread knows of, those before a __syncthreads too, are
// visible to the device. __threadfence would empty L1 besides.
__device__ int AddReleasing(int* counter, int x) {
  int before;
  asm volatile("atom.add.release.gpu.global.s32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(x)
               : "memory");
  return before;
}

// After FinishPiece. Nobody waits for the answer before MergeIfLast asks for it.
__device__ PartialPiece Announce(const Params& p, const Piece& piece) {
  PartialPiece partial;
  partial.piece = piece;
  partial.exists = true;
  if (threadIdx.x == 0) partial.num_before = AddReleasing(CounterOf(p, piece.item), 1);
  return partial;
}

// If all other pieces of the item were finished earlier, merges them into `out`. All
// threads call together.
template <class C>
__device__ void MergeIfLast(const Params& p, const PartialPiece& partial) {
  if (!partial.exists) return;
  const Piece& piece = partial.piece;
  const bool is_last = threadIdx.x == 0 && partial.num_before == piece.num_ctas - 1;
  if (is_last) {
    *CounterOf(p, piece.item) = 0;  // for the next launch
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
  }
  if (!__syncthreads_or(is_last)) return;
  const HeadPart part = HeadPartOf<C>();
  if (part.head < piece.num_heads) {
    StoreOut<C>(p, piece, part, MergeSlots<C>(p, piece, part).out);
  }
}

// ---- the kernel ----

// Puts the new token into its tile: in shared memory, and, now that the copy of the
// old contents is over, in the pool. Of several head tiles the first writes there.
template <class C>
__device__ void CompleteTile(const Params& p, const Piece& piece, int unit, NewToken<C>& token,
                             unsigned char* tile) {
  const int at = piece.num_last_tokens - 1;
  token.Encode();
  token.Store(tile, at);
  ClearValuesFrom<C>(tile, at + 1);
  if (piece.item.index % p.head_tiles == 0) {
    const int64_t offset = TileOffset(p, piece.item.row, unit, C::Tile::kBytes);
    token.Store(static_cast<unsigned char*>(p.args.kv) + offset, at);
  }
  __syncwarp();
}

template <class C>
__device__ void AttendUnit(const Params& p, const Piece& piece, int unit, TileStream<C>& tiles,
                           WarpAttention<C>& attention) {
  const bool has_new_token = unit == piece.item.first_unit + piece.item.num_units - 1;
  NewToken<C> token;
  if (has_new_token) token.Load(p, piece);  // while the tile is on its way
  unsigned char* tile = tiles.Wait();
  if (has_new_token) CompleteTile(p, piece, unit, token, tile);
  attention.Attend(tile, has_new_token ? piece.num_last_tokens : kTileTokens, p.score_scale);
#if __CUDA_ARCH__ >= 900
  if (has_new_token) FenceSharedForCopies();
#endif
  tiles.Release(p);
}

template <class C>
__global__ void __launch_bounds__(kThreads, C::kCtasPerSm)
    DecodeAttentionKernel(const __grid_constant__ Params p) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  __trap();  // DeviceFeatures::has_warp_products: not launched
#else
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarpLanes;
  uint64_t* barriers = reinterpret_cast<uint64_t*>(shared + C::kBarriersOffset);
  TileStream<C> tiles(shared + warp * C::kRingBytes, barriers + warp * C::kStages);
  LetNextStart();

  // With few rows: what the step's first kernels wrote, and the KV of earlier steps, is
  // there already (launch.cuh), and the first tiles come while the projection in front
  // still runs.
  if (!C::kFewRows) WaitForPrevious();
  const Share share = p.has_own_ctas ? ShareOfItem(p) : ShareOfAll(p);
  if (share.begin == share.end) {
    WaitForPrevious();  // whoever waits for this kernel waits for those before it, too
    return;
  }
  Piece piece = PieceAt(p, share, share.row, share.begin);
  int unit = share.begin + warp;  // the warp's next
  WarpAttention<C> attention;
  tiles.Start(p, share.row, unit, share.end);
  if (!C::kFewRows) attention.Load(p, piece);  // while the tiles are being found
  tiles.Fill(p);
  if (C::kFewRows) {
    WaitForPrevious();
    attention.Load(p, piece);
  }

  float* results =
      reinterpret_cast<float*>(shared + C::kResultsOffset) + warp * kTileHeads * C::kResultStride;
  float* maxima = reinterpret_cast<float*>(shared + C::kMaximaOffset) + warp * kTileHeads;
  float* sums = reinterpret_cast<float*>(shared + C::kSumsOffset) + warp * kTileHeads;
  static_assert(WarpAttention<C>::kScratchBytes <=
                kTileHeads * C::kResultStride * int{sizeof(float)});
  PartialPiece first, last;  // only the range's ends cut items
  while (true) {
    attention.Start(reinterpret_cast<unsigned char*>(results));  // free until Store
    for (; unit < piece.end; unit += kWarps) AttendUnit<C>(p, piece, unit, tiles, attention);
    attention.Store(results, maxima, sums);
    const Piece done = piece;
    const bool is_end = done.end == share.end;
    if (!is_end) {
      piece = PieceAt(p, share, done.item.row, done.end);
      attention.Load(p, piece);
    }
    FinishPiece<C>(p, done, shared);
    if (done.num_ctas > 1) {
      const PartialPiece partial = Announce(p, done);
      if (done.begin == share.begin) {
        first = partial;
      } else {
        last = partial;
      }
    }
    if (is_end) break;
  }
#pragma unroll 1
  for (int i = 0; i < 2; ++i) {
    MergeIfLast<C>(p, first);
    first = last;
  }
#endif
}

// ---- the host's side ----

// Up to so many rows the configuration for few is the faster one, the projections around
// it considered; with large tiles (16 bits, 128 dimensions) at any number: measured on an
// H200 up to 256 rows. (The other one's rings do not fit every device, either.)
constexpr int kFewRows = 64;
constexpr int kLargeTileBytes = 6000;

// Calls function(Config) with the configuration of these types for so many rows.
template <class Function>
cudaError_t WithConfig(DType dtype, KvFormat format, int head_dim, int num_rows,
                       const DeviceFeatures& device, Function function) {
  const auto with_rows = [&](auto element, auto is_fp8, auto dim) {
    using T = decltype(element);
    constexpr bool kIsFp8 = decltype(is_fp8)::value;
    constexpr int kDim = decltype(dim)::value;
    using ForFew = Config<T, kDim, kIsFp8, true>;
    if constexpr (ForFew::Tile::kBytes > kLargeTileBytes) {
      return function(ForFew());
    } else {
      using ForMany = Config<T, kDim, kIsFp8, false>;
      const bool fits = ForMany::kSharedBytes <= device.shared_bytes;
      return num_rows <= kFewRows || !fits ? function(ForFew()) : function(ForMany());
    }
  };
  const auto with_dim = [&](auto element, auto is_fp8) {
    if (head_dim == 64) return with_rows(element, is_fp8, std::integral_constant<int, 64>());
    if (head_dim == 128) return with_rows(element, is_fp8, std::integral_constant<int, 128>());
    return cudaErrorInvalidValue;
  };
  const auto with_format = [&](auto element) {
    return format == KvFormat::kFp8 ? with_dim(element, std::true_type())
                                    : with_dim(element, std::false_type());
  };
  if (dtype == DType::kBFloat16) return with_format(__nv_bfloat16());
  if (dtype == DType::kFloat16) return with_format(__half());
  return cudaErrorInvalidValue;
}

// A step of any size finds the counters at one place: behind room for all slots.
size_t SlotBytes(int head_dim, int num_sms) {
  return size_t{2} * kMaxCtasPerSm * num_sms * SlotFloats(head_dim) * sizeof(float);
}

int HeadTiles(const AttentionShape& shape) {
  return (shape.num_heads / shape.num_kv_heads + kTileHeads - 1) / kTileHeads;
}

Params ParamsOf(const AttentionArgs& args, int num_ctas, int num_sms) {
  const AttentionShape& shape = args.shape;
  Params p;
  p.args = args;
  p.group = shape.num_heads / shape.num_kv_heads;
  p.head_tiles = HeadTiles(shape);
  p.items_per_row = shape.num_kv_heads * p.head_tiles;
  p.has_own_ctas = args.num_decode_rows <= kMaxRowsWithOwnCtas &&
                   args.num_decode_rows * p.items_per_row <= num_ctas;
  p.score_scale = kLog2E / sqrtf(static_cast<float>(shape.head_dim));
  p.partials = static_cast<float*>(args.workspace);
  p.counters = reinterpret_cast<int*>(static_cast<unsigned char*>(args.workspace) +
                                      SlotBytes(shape.head_dim, num_sms));
  return p;
}

}  // namespace
}  // namespace decode

size_t AttentionWorkspaceBytes(AttentionShape shape, int max_decode_rows,
                               const DeviceFeatures& device) {
  const size_t num_items =
      size_t{1} * max_decode_rows * shape.num_kv_heads * decode::HeadTiles(shape);
  return decode::SlotBytes(shape.head_dim, device.num_sms) + num_items * sizeof(int);
}

cudaError_t PrepareDecodeAttention(const DeviceFeatures& device) {
  if (!device.has_warp_products()) return cudaSuccess;
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (const KvFormat format : {KvFormat::kSameAsModel, KvFormat::kFp8}) {
      for (const int head_dim : {64, 128}) {
        for (const int num_rows : {decode::kFewRows + 1, decode::kFewRows}) {
          const cudaError_t error =
              decode::WithConfig(dtype, format, head_dim, num_rows, device, [](auto config) {
                using C = decltype(config);
                return AllowSharedBytes(decode::DecodeAttentionKernel<C>, C::kSharedBytes);
              });
          if (error != cudaSuccess) return error;
        }
      }
    }
  }
  return cudaSuccess;
}

cudaError_t DecodeAttention(const AttentionArgs& args, const DeviceFeatures& device,
                            cudaStream_t stream) {
  if (args.num_decode_rows == 0) return cudaSuccess;
  if (!device.has_warp_products()) return cudaErrorNotSupported;
  return decode::WithConfig(args.dtype, args.kv_format, args.shape.head_dim, args.num_decode_rows,
                            device, [&](auto config) {
                              using C = decltype(config);
                              const int num_ctas = device.num_sms * C::kCtasPerSm;
                              const Grid grid = {.blocks = dim3(num_ctas),
                                                 .threads = dim3(decode::kThreads),
                                                 .shared_bytes = C::kSharedBytes};
                              return Launch(decode::DecodeAttentionKernel<C>, grid, stream,
                                            decode::ParamsOf(args, num_ctas, device.num_sms));
                            });
}

}  // namespace weft::worker::ops::cuda
