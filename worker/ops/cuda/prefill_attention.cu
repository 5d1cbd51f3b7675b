// Prefill attention for Hopper (sm_90a: wgmma and bulk copies; other cards run
// ReferenceAttention).
//
// A block of threads attends with 128 query vectors of one row and one KV head: the
// G query heads of a token lie side by side, so that a short chunk fills tiles and
// keys are read once for all of them. Query vector m of a row is head m % G of its
// token m / G. Work comes in roles, one a warpgroup:
//
//   producer     brings 128 keys and values at a time into a ring of two stages
//   2 consumers  64 query vectors each: scores, running softmax, weighted values
//
// A consumer starts the next step's scores before it weighs this step's values, so
// that its tensor cores work while it computes exponentials; the two consumers take
// turns at issuing, which keeps one's exponentials beside the other's products.
//
// Blocks stay for work after work, and the producer is ahead of the consumers by a
// work's queries and a stage or two of keys: a work's start is hidden behind the end of
// the one before.
//
// When a step has too few queries to fill the device, a cluster of blocks shares the
// keys of each 128 queries, and puts its partial results together through its blocks'
// shared memory.
#include <cuda_runtime.h>

#include <cmath>
#include <cstddef>

#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/prefill_cluster.cuh"
#include "worker/ops/cuda/prefill_consumer.cuh"
#include "worker/ops/cuda/prefill_producer.cuh"
#include "worker/ops/cuda/prefill_work.cuh"

namespace weft::worker::ops::cuda {

namespace prefill {
namespace {

// Registers move from the producer, which needs few, to the consumers. A block has
// kThreads * kRegistersAtStart of them: as many as fit, in eights. Claiming more than
// the others leave waits forever.
constexpr int kRegistersAtStart = 65536 / kThreads / 8 * 8;
template <int kCount>
__device__ __forceinline__ void ReleaseRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void ClaimRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}
// fp8 numbers are converted by the producer, in registers.
template <bool kFp8>
struct Registers {
  static constexpr int kProducer = kFp8 ? 120 : 56;
  static constexpr int kConsumer = kFp8 ? 192 : 224;
  static_assert(kProducer + kConsumers * kConsumer <= (1 + kConsumers) * kRegistersAtStart);
};

// A consumer's part in all works.
template <class T, int kHeadDim>
__device__ __forceinline__ void Consume(const AttentionArgs& args, Deal deal, float scale,
                                        Shared<kHeadDim>& shared) {
  const int index = threadIdx.x / kWarpgroup - 1;
  int ring = 0;
  if (index == 1) ArriveNamed(kTurnBarrier, kConsumers * kWarpgroup);  // consumer 0 begins
  for (int round = 0; round < deal.NumRounds(); ++round) {
    const auto [stage, parity] = PlaceOf(round);
    WaitBarrier(&shared.work_full[stage], parity);
    const Work work = shared.works[stage];
    if (work.num_keys > 0) {
      const Steps steps = OwnSteps(work);
      Consumer<kHeadDim> me(work);
      if (steps.Count() > 0) {
        Attend<T, kHeadDim>(work, steps, ring, shared.queries[stage], scale, me, shared);
      }
      if (IsShared(work)) {
        CombineAndWriteOut<T, kHeadDim>(args, work, scale, me, shared);
      } else if (ClusterRank() == 0) {
        WriteOut<T, kHeadDim>(args, work, me, shared.queries[stage]);
      }
      ring += steps.Count();
    }
    __syncwarp();
    ReleaseStage(&shared.work_empty[stage]);
  }
}

template <int kHeadDim, bool kFp8>
__device__ void InitShared(Shared<kHeadDim>& shared) {
  constexpr int kConsumerWarps = kConsumers * kWarpgroup / kWarpLanes;
  constexpr int kFills = kFp8 ? kWarpgroup : 1;
  for (int stage = 0; stage < kStages; ++stage) {
    InitBarrier(&shared.keys_full[stage], kFills);
    InitBarrier(&shared.values_full[stage], kFills);
    InitBarrier(&shared.keys_empty[stage], kConsumerWarps);
    InitBarrier(&shared.values_empty[stage], kConsumerWarps);
    InitBarrier(&shared.work_full[stage], kQueryLoaders<kFp8>);
    InitBarrier(&shared.work_empty[stage], kConsumerWarps);
  }
  PublishBarriers();
}

template <class T, int kHeadDim, bool kFp8>
__global__ void __launch_bounds__(kThreads, 1)
    PrefillKernel(const AttentionArgs args, Deal deal, float scale) {
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
  __trap();  // DeviceFeatures::has_wgmma: not launched
#else
  extern __shared__ __align__(1024) uint8_t shared_bytes[];
  Shared<kHeadDim>& shared = *reinterpret_cast<Shared<kHeadDim>*>(shared_bytes);
  LetNextStart();
  if (threadIdx.x == 0) InitShared<kHeadDim, kFp8>(shared);
  __syncthreads();
  WaitForPrevious();
  FenceWrittenForCopies();
  if (threadIdx.x < kWarpgroup) {
    ReleaseRegisters<Registers<kFp8>::kProducer>();
    Produce<T, kHeadDim, kFp8>(args, deal, shared);
  } else {
    ClaimRegisters<Registers<kFp8>::kConsumer>();
    Consume<T, kHeadDim>(args, deal, scale, shared);
  }
#endif
}

// ---- host ----

template <class T, int kHeadDim, bool kFp8>
struct Kernels {
  static constexpr size_t kSharedBytes = sizeof(Shared<kHeadDim>);

  static cudaError_t Prepare() {
    return AllowSharedBytes(PrefillKernel<T, kHeadDim, kFp8>, kSharedBytes);
  }

  static cudaError_t Attend(const AttentionArgs& args, int num_sms, cudaStream_t stream) {
    const int group = args.shape.num_heads / args.shape.num_kv_heads;
    // Each row's last tile may be partly filled: no more tiles than this.
    const int num_tiles = args.num_prefill_tokens * group / kQueries + args.num_prefill_rows;
    const int num_works = num_tiles * args.shape.num_kv_heads;
    int cluster_blocks = 1;
    while (cluster_blocks < kMaxClusterBlocks && 2 * cluster_blocks * num_works <= num_sms) {
      cluster_blocks *= 2;
    }
    // A block of threads takes a whole SM, and work after work.
    const int num_blocks =
        num_works * cluster_blocks < num_sms ? num_works * cluster_blocks : num_sms;
    const Grid grid = {dim3(num_blocks), dim3(kThreads), kSharedBytes, cluster_blocks};
    const float scale = kLog2E / sqrtf(kHeadDim);
    return Launch(PrefillKernel<T, kHeadDim, kFp8>, grid, stream, args, Deal{num_works}, scale);
  }
};

// Calls `call` with the Kernels for these args.
template <class T, class Call>
cudaError_t ForShape(const AttentionArgs& args, Call call) {
  const bool fp8 = args.kv_format == KvFormat::kFp8;
  if (args.shape.head_dim == 64) {
    return fp8 ? call(Kernels<T, 64, true>{}) : call(Kernels<T, 64, false>{});
  }
  if (args.shape.head_dim == 128) {
    return fp8 ? call(Kernels<T, 128, true>{}) : call(Kernels<T, 128, false>{});
  }
  return cudaErrorInvalidValue;
}

template <class Call>
cudaError_t ForKernels(const AttentionArgs& args, Call call) {
  if (args.num_prefill_tokens == 0) return cudaSuccess;
  if (args.dtype == DType::kBFloat16) return ForShape<__nv_bfloat16>(args, call);
  if (args.dtype == DType::kFloat16) return ForShape<__half>(args, call);
  return cudaErrorInvalidValue;
}

}  // namespace
}  // namespace prefill

cudaError_t PrefillAttention(const AttentionArgs& args, const DeviceFeatures& device,
                             cudaStream_t stream) {
  if (!device.has_wgmma()) return cudaErrorNotSupported;
  return prefill::ForKernels(
      args, [&](auto kernels) { return kernels.Attend(args, device.num_sms, stream); });
}

cudaError_t PreparePrefillAttention(const DeviceFeatures& device) {
  if (!device.has_wgmma()) return cudaSuccess;
  AttentionArgs args;
  args.num_prefill_tokens = 1;
  for (DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (KvFormat format : {KvFormat::kSameAsModel, KvFormat::kFp8}) {
      for (int head_dim : {64, 128}) {
        args.dtype = dtype;
        args.kv_format = format;
        args.shape.head_dim = head_dim;
        const cudaError_t error =
            prefill::ForKernels(args, [](auto kernels) { return kernels.Prepare(); });
        if (error != cudaSuccess) return error;
      }
    }
  }
  return cudaSuccess;
}

}  // namespace weft::worker::ops::cuda
