#include <algorithm>

#include "worker/ops/cuda/async_copy.cuh"
#include "worker/ops/cuda/cluster.cuh"
#include "worker/ops/cuda/fragments.cuh"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/linear_norm.cuh"
#include "worker/ops/cuda/numbers.cuh"
#include "worker/ops/cuda/packed.cuh"
#include "worker/ops/cuda/tensor_map.h"
#include "worker/ops/cuda/tile_linear.h"
#include "worker/ops/cuda/wgmma.cuh"

namespace weft::worker::ops::cuda {
namespace tile {
namespace {

constexpr int kConsumerWarps = 4;  // a warpgroup
constexpr int kConsumers = kConsumerWarps * kWarpLanes;
constexpr int kThreads = kConsumers + kWarpLanes;  // the last warp's first thread produces
constexpr int kLineBytes = kMapColumns * 2;
constexpr int kXBytes = kMaxTileTokens * kLineBytes;
constexpr int kMultiplyColumns = 16;  // K of one multiply
constexpr int kMultiplies = kMapColumns / kMultiplyColumns;
constexpr int kAlignment = 1024;  // of swizzled operands
constexpr int kMaxSharedBytes = 227 << 10;
constexpr int kMaxNormColumns = 8192;

template <class Element, Epilogue kOf>
struct Config {
  using T = Element;
  static constexpr Epilogue kEpilogue = kOf;
  // Many rows of weight: a cluster's blocks have a tile each, over all of K, and share x.
  // Else they share a tile, a part of K each, and add up.
  static constexpr bool kIsGated = kEpilogue == Epilogue::kSiluMul;
  static constexpr bool kIsNormed = kEpilogue != Epilogue::kAdd;
  // So that all clusters of a 1.5B model's products run at once. (A cluster's blocks are
  // neighbours: of a Hopper's 132 multiprocessors clusters of 4 or 8 leave some unused.)
  static constexpr int kClusterBlocks = kIsGated ? 2 : kEpilogue == Epilogue::kStore ? 4 : 8;
  // Rows of the weight. 8,960 gates and as many ups are 125 tiles: a multiprocessor each.
  static constexpr int kTileRows = kIsGated ? 144 : kEpilogue == Epilogue::kStore ? 96 : 128;
  static constexpr int kTileColumns = kIsGated ? kTileRows / 2 : kTileRows;  // of out
  // A tile's gates and ups lie apart; each is one copy.
  static constexpr int kNumBoxes = kIsGated ? 2 : 1;
  static constexpr int kBoxRows = kTileRows / kNumBoxes;
  static constexpr int kXRows = kIsGated ? kMaxTileTokens / kClusterBlocks : kMaxTileTokens;

  static constexpr int kWeightBytes = kTileRows * kLineBytes;
  static constexpr int kStageBytes = kXBytes + kWeightBytes;
  static constexpr int kBarrierBytes = 2 * sizeof(uint64_t);  // of a stage
  // Where parts of K are added up: tokens of this block, of each block.
  static constexpr int kTokens = kMaxTileTokens / kClusterBlocks;
  static constexpr int kPartBytes = kTokens * kTileColumns * int{sizeof(float)};
  static constexpr int kSquaresBytes = kIsNormed ? kTokens * int{sizeof(uint64_t)} : 0;
  static constexpr int kSumsBytes = kIsGated ? 0 : kClusterBlocks * (kPartBytes + kSquaresBytes);
  // The norm's weight, of a block's columns: K in equal parts of whole pieces, but for one.
  static constexpr int kNormColumns =
      kIsGated ? kMaxNormColumns : kMaxNormColumns / kClusterBlocks + kMapColumns;
  static constexpr int kNormBytes = kIsNormed ? kNormColumns * 2 : 0;
  static constexpr int kOtherBytes = kAlignment + kSumsBytes + kNormBytes + int{sizeof(Inbox)};
  // All that there are: with room for two blocks a multiprocessor the next kernel's would
  // gather on some and leave others idle.
  static constexpr int kStages = (kMaxSharedBytes - kOtherBytes) / (kStageBytes + kBarrierBytes);
  static constexpr int kSharedBytes = kOtherBytes + kStages * (kStageBytes + kBarrierBytes);
  static_assert(kStageBytes % kAlignment == 0 && kBoxRows % 8 == 0 && kXRows % 8 == 0);
};

struct Params {
  CUtensorMap weight_map, x_map;
  LinearArgs args;
  int num_tiles = 0;  // gated: rounded up to whole clusters, the last may have no columns
};

// The ring: where the next piece is.
template <class C>
struct Place {
  int stage = 0;
  uint32_t parity = 0;

  __device__ void Advance() {
    if (++stage == C::kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

template <class C>
struct Shared {
  unsigned char* stages;  // x, then the weight
  uint64_t* barriers;     // full, then empty, of each stage
  float* sums;            // [block][token of this block][column]
  uint64_t* squares;      // [block][token of this block], a float and nothing
  uint32_t* norm_weight;  // two columns each
  Inbox* inbox;

  __device__ explicit Shared(unsigned char* shared) {
    stages = shared + (kAlignment - SharedAddress(shared) % kAlignment) % kAlignment;
    unsigned char* behind = stages + C::kStages * C::kStageBytes;
    sums = reinterpret_cast<float*>(behind);
    squares = reinterpret_cast<uint64_t*>(behind + C::kClusterBlocks * C::kPartBytes);
    norm_weight = reinterpret_cast<uint32_t*>(behind + C::kSumsBytes);
    barriers = reinterpret_cast<uint64_t*>(behind + C::kSumsBytes + C::kNormBytes);
    inbox = reinterpret_cast<Inbox*>(barriers + 2 * C::kStages);
  }
  __device__ uint32_t X(int stage) const { return SharedAddress(stages) + stage * C::kStageBytes; }
  __device__ uint32_t Weight(int stage) const { return X(stage) + kXBytes; }
  // A piece is there: the producer has come, and all bytes.
  __device__ uint32_t Full(int stage) const { return SharedAddress(barriers + 2 * stage); }
  // All warps are done with it: of the cluster, where x may come from any block.
  __device__ uint32_t Empty(int stage) const { return SharedAddress(barriers + 2 * stage + 1); }

  __device__ void Init() const {
    for (int i = 0; i < C::kStages; ++i) {
      InitBarrier(Full(i), 1);
      InitBarrier(Empty(i), (C::kIsGated ? C::kClusterBlocks : 1) * kConsumerWarps);
    }
    inbox->Init();
    PublishBarriers();
  }
};

// What a block has to do: tiles, and of each these pieces of 64 columns.
template <class C>
struct Share {
  int first_tile, tile_step;
  int first_piece, num_pieces;

  __device__ explicit Share(const Params& p) {
    const int all_pieces = p.args.k / kMapColumns;
    if constexpr (C::kIsGated) {
      first_tile = blockIdx.x;
      tile_step = gridDim.x;
      first_piece = 0;
      num_pieces = all_pieces;
    } else {
      const int rank = ClusterRank();
      first_tile = blockIdx.x / C::kClusterBlocks;
      tile_step = p.num_tiles;  // the only one
      first_piece = all_pieces * rank / C::kClusterBlocks;
      num_pieces = all_pieces * (rank + 1) / C::kClusterBlocks - first_piece;
    }
  }
};

// The one thread that brings a block's pieces.
template <class C>
struct Producer {
  const Params& p;
  const Shared<C>& shared;
  const Share<C>& share;

  // Blocks whose rows of x hold tokens.
  __device__ int num_x_parts() const {
    return C::kIsGated ? (p.args.num_tokens + C::kXRows - 1) / C::kXRows : 1;
  }

  __device__ void BringWeight(int stage, int tile, int piece) const {
    ArriveExpectingBytes(shared.Full(stage),
                         C::kWeightBytes + num_x_parts() * C::kXRows * kLineBytes);
    for (int box = 0; box < C::kNumBoxes; ++box) {
      CopyBox(shared.Weight(stage) + box * C::kBoxRows * kLineBytes, &p.weight_map, 0,
              box * p.args.n + tile * C::kTileColumns, share.first_piece + piece,
              shared.Full(stage));
    }
  }
  __device__ void BringX(int stage, int piece) const {
    if constexpr (C::kIsGated) {
      const int rank = ClusterRank();
      if (rank >= num_x_parts()) return;
      constexpr uint16_t kAll = (1 << C::kClusterBlocks) - 1;
      CopyBoxToBlocks(shared.X(stage) + rank * C::kXRows * kLineBytes, &p.x_map, 0,
                      rank * C::kXRows, piece, shared.Full(stage), kAll);
    } else {
      CopyBox(shared.X(stage), &p.x_map, 0, 0, share.first_piece + piece, shared.Full(stage));
    }
  }

  // Before WaitForPrevious, which did not write them: the first stages' weights.
  __device__ int Start() const {
    const int count = share.num_pieces < C::kStages ? share.num_pieces : C::kStages;
    for (int i = 0; i < count; ++i) BringWeight(i, share.first_tile, i);
    return count;
  }
  // Behind it, and once all barriers of the cluster are there: the rest.
  __device__ void Run(int num_started) const {
    Place<C> place;
    for (int i = 0; i < num_started; ++i) {
      BringX(i, i);
      place.Advance();
    }
    int piece = num_started;
    for (int tile = share.first_tile; tile < p.num_tiles; tile += share.tile_step) {
      for (; piece < share.num_pieces; ++piece) {
        WaitBarrier(shared.Empty(place.stage), place.parity ^ 1);
        BringWeight(place.stage, tile, piece);
        BringX(place.stage, piece);
        place.Advance();
      }
      piece = 0;
    }
  }
};

template <class C>
struct Consumer {
  using T = typename C::T;
  static constexpr int kSums = C::kTileRows / 2;

  const Params& p;
  const Shared<C>& shared;
  const Share<C>& share;
  const int warp = threadIdx.x / kWarpLanes;
  const int lane = threadIdx.x % kWarpLanes;
  Place<C> place;
  float squares[2];  // of this thread's tokens

  // Before WaitForPrevious, which did not write it: the norm's weight.
  __device__ void BringNormWeight() const {
    if constexpr (C::kIsNormed) {
      const auto* from = static_cast<const uint4*>(p.args.norm_weight) + share.first_piece * 8;
      auto* to = reinterpret_cast<uint4*>(shared.norm_weight);
      for (int i = threadIdx.x; i < share.num_pieces * 8; i += kConsumers) to[i] = __ldg(from + i);
      asm volatile("bar.sync 1, %0;" ::"n"(kConsumers) : "memory");
    }
  }

  __device__ void Run() {
    for (int tile = share.first_tile; tile < p.num_tiles; tile += share.tile_step) {
      float sums[kSums];
      if constexpr (C::kIsNormed) {
        MultiplyNormed(sums);
      } else {
        Multiply(sums);
      }
      if constexpr (C::kIsGated) {
        WriteGated(tile, sums);
      } else {
        SendParts(sums);
        WriteSum(tile);
      }
    }
  }

  // ---- product ----

  __device__ void Release(int stage) const {
    __syncwarp();
    if constexpr (C::kIsGated) {
      if (lane < C::kClusterBlocks) ArriveAtPeer(shared.Empty(stage), lane);
    } else {
      if (lane == 0) Arrive(shared.Empty(stage));
    }
  }

  // Both from shared memory.
  __device__ void Multiply(float (&sums)[kSums]) {
    int last_stage = 0;
    for (int piece = 0; piece < share.num_pieces; ++piece) {
      WaitBarrier(shared.Full(place.stage), place.parity);
      const uint64_t x = Operand(shared.X(place.stage));
      const uint64_t weight = Operand(shared.Weight(place.stage));
      BeginMultiplies();
#pragma unroll
      for (int i = 0; i < kMultiplies; ++i) {
        const int offset = i * kMultiplyColumns * 2;
        MultiplyShared<T>(sums, Advance(x, offset), Advance(weight, offset), piece + i > 0);
      }
      EndMultiplies();
      WaitForMultiplies<1>();
      if (piece > 0) Release(last_stage);
      last_stage = place.stage;
      place.Advance();
    }
    WaitForMultiplies<0>();
    Settle(sums);
    Release(last_stage);
  }

  // x by way of registers, where it meets the norm's weight. While a piece is multiplied
  // the next one is made ready.
  __device__ void MultiplyNormed(float (&sums)[kSums]) {
    squares[0] = squares[1] = 0;
    uint32_t x[kMultiplies][4], next[kMultiplies][4];
    LoadX(0, x);
    for (int piece = 0; piece < share.num_pieces; ++piece) {
      const int stage = place.stage;
      const uint64_t weight = Operand(shared.Weight(stage));
      BeginMultiplies();
#pragma unroll
      for (int i = 0; i < kMultiplies; ++i) {
        MultiplyByRows<T>(sums, x[i], Advance(weight, i * kMultiplyColumns * 2), piece + i > 0);
      }
      EndMultiplies();
      place.Advance();
      if (piece + 1 < share.num_pieces) LoadX(piece + 1, next);
      WaitForMultiplies<0>();
#pragma unroll
      for (int i = 0; i < kMultiplies; ++i) {
        Settle(x[i]);
#pragma unroll
        for (int r = 0; r < 4; ++r) x[i][r] = next[i][r];
      }
      Release(stage);
    }
    Settle(sums);
#pragma unroll
    for (int i = 0; i < 2; ++i) {  // a token's four threads have different columns
      squares[i] += __shfl_xor_sync(kAllLanes, squares[i], 1);
      squares[i] += __shfl_xor_sync(kAllLanes, squares[i], 2);
    }
  }

  // Waits for the piece, which is the one at `place`: of it the warp's 16 tokens, times the
  // norm's weight.
  __device__ void LoadX(int piece, uint32_t (&x)[kMultiplies][4]) {
    WaitBarrier(shared.Full(place.stage), place.parity);
    const int token = warp * 16 + lane % 16;
    const uint32_t line = shared.X(place.stage) + token * kLineBytes;
    const uint32_t* weights = shared.norm_weight + piece * kMapColumns / 2 + lane % 4;
#pragma unroll
    for (int i = 0; i < kMultiplies; ++i) {
      LoadMatrices(x[i], line + ((2 * i + lane / 16) ^ (token & 7)) * 16);
#pragma unroll
      for (int r = 0; r < 4; ++r) {  // columns' halves, of each both tokens
        squares[r % 2] += WeighAndSquare<T>(weights[8 * i + r / 2 * 4], x[i][r]);
      }
    }
  }

  // ---- out: of sums, see wgmma.cuh ----

  __device__ int TokenOf(int i) const { return warp * 16 + lane / 4 + 8 * i; }

  __device__ void WriteGated(int tile, const float (&sums)[kSums]) const {
    const LinearArgs& a = p.args;
    const auto silu = [](float x) { return __fdividef(x, 1.0f + __expf(-x)); };
    constexpr int kUps = kSums / 2;  // behind the gates'
    const float scales[2] = {NormScale<T>(a, squares[0]), NormScale<T>(a, squares[1])};
#pragma unroll
    for (int n = 0; n < C::kTileColumns / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int column = tile * C::kTileColumns + 8 * n + lane % 4 * 2;
        if (TokenOf(i) >= a.num_tokens || column >= a.n) continue;
        const int at = 4 * n + 2 * i;
        *reinterpret_cast<uint32_t*>(static_cast<T*>(a.out) + int64_t{TokenOf(i)} * a.n + column) =
            PackPair<T>(silu(scales[i] * sums[at]) * (scales[i] * sums[kUps + at]),
                        silu(scales[i] * sums[at + 1]) * (scales[i] * sums[kUps + at + 1]));
      }
    }
  }

  // A token's sums go to the block that adds them up.
  __device__ void SendParts(const float (&sums)[kSums]) const {
    float* own = shared.sums + ClusterRank() * C::kTokens * C::kTileColumns;
    static_assert(C::kTokens % 8 == 0);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int first = warp * 16 + 8 * i;  // of eight tokens
      const int to = first / C::kTokens;
      if (to * C::kTokens >= p.args.num_tokens) continue;
#pragma unroll
      for (int n = 0; n < C::kTileColumns / 8; ++n) {
        const uint64_t pair = uint64_t{__float_as_uint(sums[4 * n + 2 * i + 1])} << 32 |
                              __float_as_uint(sums[4 * n + 2 * i]);
        float* place =
            own + (first % C::kTokens + lane / 4) * C::kTileColumns + 8 * n + lane % 4 * 2;
        Send(reinterpret_cast<uint64_t*>(place), *shared.inbox, to, pair);
      }
      if (C::kIsNormed && lane % 4 == 0) {
        Send(shared.squares + ClusterRank() * C::kTokens + first % C::kTokens + lane / 4,
             *shared.inbox, to, __float_as_uint(squares[i]));
      }
    }
  }

  // Eight columns of a token a thread, in the order of K.
  __device__ void WriteSum(int tile) const {
    if (ClusterRank() * C::kTokens >= p.args.num_tokens) return;  // nobody sends
    constexpr int kPlaces = C::kTokens * C::kTileColumns / 8;
    for (int place = threadIdx.x; place < kPlaces; place += kConsumers) {
      WriteSum(tile, place / (C::kTileColumns / 8), place % (C::kTileColumns / 8) * 8);
    }
  }
  __device__ void WriteSum(int tile, int own_token, int in_tile) const {
    const LinearArgs& a = p.args;
    const int token = ClusterRank() * C::kTokens + own_token;
    const int column = tile * C::kTileColumns + in_tile;
    T* out = static_cast<T*>(a.out) + int64_t{token} * a.n + column;
    const bool writes = token < a.num_tokens && column < a.n;
    Packed<T> before = {};
    if (writes && C::kEpilogue == Epilogue::kAdd) before = *reinterpret_cast<Packed<T>*>(out);
    if (writes && C::kEpilogue == Epilogue::kStore && a.bias != nullptr) {
      before = *reinterpret_cast<const Packed<T>*>(static_cast<const T*>(a.bias) + column);
    }
    float rest[8], total[8] = {};
    Unpack(before, rest);
    shared.inbox->Wait(0);
    const float* part = shared.sums + own_token * C::kTileColumns + in_tile;
#pragma unroll
    for (int block = 0; block < C::kClusterBlocks; ++block) {
      const float4* four = reinterpret_cast<const float4*>(part);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        total[4 * half] += four[half].x;
        total[4 * half + 1] += four[half].y;
        total[4 * half + 2] += four[half].z;
        total[4 * half + 3] += four[half].w;
      }
      part += C::kTokens * C::kTileColumns;
    }
    float scale = 1;
    if constexpr (C::kIsNormed) {
      float sum = 0;
#pragma unroll
      for (int block = 0; block < C::kClusterBlocks; ++block) {
        sum +=
            __uint_as_float(static_cast<uint32_t>(shared.squares[block * C::kTokens + own_token]));
      }
      scale = NormScale<T>(a, sum);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) total[i] = fmaf(scale, total[i], rest[i]);
    Packed<T> packed;
    Pack(total, packed);
    if (writes) *reinterpret_cast<Packed<T>*>(out) = packed;
  }
};

template <class C>
__global__ void __launch_bounds__(kThreads, 1) TileLinearKernel(const __grid_constant__ Params p) {
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
  __trap();  // DeviceFeatures::has_wgmma: not launched
#else
  extern __shared__ unsigned char memory[];
  const Shared<C> shared(memory);
  const Share<C> share(p);
  const bool produces = threadIdx.x == kConsumers;
  const Producer<C> producer{p, shared, share};
  Consumer<C> consumer{p, shared, share};
  int num_started = 0;
  LetNextStart();
  if (produces) {
    PrefetchMap(&p.weight_map);
    PrefetchMap(&p.x_map);
    shared.Init();
    if constexpr (!C::kIsGated) shared.inbox->Expect(C::kSumsBytes);
    num_started = producer.Start();
  }
  if (threadIdx.x < kConsumers) consumer.BringNormWeight();
  __syncwarp();
  ClusterArrive();
  ClusterWait();  // barriers are there, for x and sums from other blocks
  WaitForPrevious();
  if (produces) producer.Run(num_started);
  if (threadIdx.x < kConsumers) consumer.Run();
  __syncwarp();
  ClusterArrive();
  ClusterWait();  // a block's memory stays until what its peers send has come
#endif
}

// ---- the host's side ----

template <class T, class Use>
cudaError_t WithConfig(Epilogue epilogue, Use use) {
  switch (epilogue) {
    case Epilogue::kStore:
      return use(Config<T, Epilogue::kStore>());
    case Epilogue::kAdd:
      return use(Config<T, Epilogue::kAdd>());
    case Epilogue::kSiluMul:
      return use(Config<T, Epilogue::kSiluMul>());
    case Epilogue::kFloat:
      break;
  }
  return cudaErrorInvalidValue;
}

template <class Use>
cudaError_t WithConfig(DType dtype, Epilogue epilogue, Use use) {
  return dtype == DType::kFloat16 ? WithConfig<__half>(epilogue, use)
                                  : WithConfig<__nv_bfloat16>(epilogue, use);
}

}  // namespace
}  // namespace tile

bool FitsTileLinear(const LinearArgs& a, const DeviceFeatures& device) {
  if (!device.has_wgmma() || a.dtype == DType::kFloat32) return false;
  if ((a.norm_weight != nullptr) != (a.epilogue != Epilogue::kAdd)) return false;
  if (a.num_tokens < 1 || a.num_tokens > kMaxTileTokens) return false;
  if (a.k % kMapColumns != 0 || a.n % 8 != 0) return false;
  if (a.norm_weight != nullptr && a.k > tile::kMaxNormColumns) return false;
  if (a.epilogue == Epilogue::kSiluMul) return true;
  // Each block of a cluster has some of K.
  constexpr int kSplitBlocks = tile::Config<__half, Epilogue::kAdd>::kClusterBlocks;
  return a.epilogue != Epilogue::kFloat && a.k >= kSplitBlocks * kMapColumns;
}

cudaError_t PrepareTileLinear(const DeviceFeatures& device) {
  if (!device.has_wgmma()) return cudaSuccess;
  for (DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd, Epilogue::kSiluMul}) {
      const cudaError_t error = tile::WithConfig(dtype, epilogue, [](auto config) {
        using C = decltype(config);
        return AllowSharedBytes(tile::TileLinearKernel<C>, C::kSharedBytes);
      });
      if (error != cudaSuccess) return error;
    }
  }
  return cudaSuccess;
}

cudaError_t TileLinear(const LinearArgs& args, const DeviceFeatures& device, cudaStream_t stream) {
  if (!FitsTileLinear(args, device)) return cudaErrorInvalidValue;
  return tile::WithConfig(args.dtype, args.epilogue, [&](auto config) {
    using C = decltype(config);
    tile::Params params = {};
    params.args = args;
    params.num_tiles = (args.n + C::kTileColumns - 1) / C::kTileColumns;
    int num_clusters = params.num_tiles;
    if (C::kIsGated) {
      num_clusters = (params.num_tiles + C::kClusterBlocks - 1) / C::kClusterBlocks;
      params.num_tiles = num_clusters * C::kClusterBlocks;
      num_clusters = std::min(num_clusters, device.num_sms / C::kClusterBlocks);
    }
    const int weight_rows = args.n * (C::kIsGated ? 2 : 1);
    if (cudaError_t error =
            EncodeMatrix(args.weight, weight_rows, args.k, C::kBoxRows, 1, &params.weight_map);
        error != cudaSuccess) {
      return error;
    }
    if (cudaError_t error =
            EncodeMatrix(args.x, args.num_tokens, args.k, C::kXRows, 1, &params.x_map);
        error != cudaSuccess) {
      return error;
    }
    const Grid grid = {.blocks = dim3(num_clusters * C::kClusterBlocks),
                       .threads = dim3(tile::kThreads),
                       .shared_bytes = C::kSharedBytes,
                       .cluster_blocks = C::kClusterBlocks};
    return Launch(tile::TileLinearKernel<C>, grid, stream, params);
  });
}

}  // namespace weft::worker::ops::cuda
