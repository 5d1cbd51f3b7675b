// Prefill attention's end where the blocks of a cluster have shared the keys of a work:
// each has weighted values relative to the largest of its own scores, and puts a part of
// the rows together from all of them. See prefill_attention.cu.
#pragma once

#include "worker/ops/cuda/cluster.cuh"
#include "worker/ops/cuda/packed.cuh"
#include "worker/ops/cuda/prefill_consumer.cuh"

namespace weft::worker::ops::cuda::prefill {

__device__ __forceinline__ float LoadPeer(uint32_t address) {
  float value;
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(address) : "memory");
  return value;
}
__device__ __forceinline__ float4 LoadPeerFour(uint32_t address) {
  float4 value;
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
               : "r"(address)
               : "memory");
  return value;
}

// Where a partial result's number lies in `keys`, rows permuted as elsewhere.
template <int kHeadDim>
__device__ __forceinline__ float* PartialResult(Shared<kHeadDim>& shared, int row, int column) {
  static_assert(kQueries * kHeadDim * sizeof(float) <= sizeof(shared.keys));
  return reinterpret_cast<float*>(shared.keys) + row * kHeadDim + (column ^ (row % 8 * 4));
}

template <int kHeadDim>
__device__ void SharePartialResults(Consumer<kHeadDim>& me, Shared<kHeadDim>& shared) {
  FinishSums(me);
  SyncNamed(kAllConsumersBarrier, kConsumers * kWarpgroup);  // both have read the keys
  const int quad_lane = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < kHeadDim / 4; ++i) {
    *reinterpret_cast<float2*>(
        PartialResult(shared, me.first_row + i % 2 * 8, i / 2 * 8 + quad_lane * 2)) =
        make_float2(me.out[2 * i], me.out[2 * i + 1]);
  }
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    if (quad_lane != row) continue;
    shared.largest[me.first_row + row * 8] = me.largest[row];
    shared.sums[me.first_row + row * 8] = me.sum[row];
  }
}

// Eight of a query's results from the cluster's partial ones. Written so that all loads
// are on their way at once.
template <class T, int kHeadDim>
__device__ Packed<T> Combine(Shared<kHeadDim>& shared, float scale, int row, int column) {
  float largest[kMaxClusterBlocks], sums[kMaxClusterBlocks];
  float4 parts[kMaxClusterBlocks][2];
  const int num_ranks = ClusterSize();
#pragma unroll
  for (int rank = 0; rank < kMaxClusterBlocks; ++rank) {
    largest[rank] = -INFINITY;
    sums[rank] = 0;
    parts[rank][0] = parts[rank][1] = make_float4(0, 0, 0, 0);
    if (rank >= num_ranks) continue;
    largest[rank] = LoadPeer(PeerAddress(SharedAddress(&shared.largest[row]), rank));
    sums[rank] = LoadPeer(PeerAddress(SharedAddress(&shared.sums[row]), rank));
    parts[rank][0] =
        LoadPeerFour(PeerAddress(SharedAddress(PartialResult(shared, row, column)), rank));
    parts[rank][1] =
        LoadPeerFour(PeerAddress(SharedAddress(PartialResult(shared, row, column + 4)), rank));
  }
  float all_largest = largest[0];  // finite: rank 0 saw position 0
#pragma unroll
  for (int rank = 1; rank < kMaxClusterBlocks; ++rank) {
    all_largest = fmaxf(all_largest, largest[rank]);
  }
  float sum = 0;
  float results[8] = {};
#pragma unroll
  for (int rank = 0; rank < kMaxClusterBlocks; ++rank) {
    const float weight = Exp2((largest[rank] - all_largest) * scale);
    sum += weight * sums[rank];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      results[4 * half] += weight * parts[rank][half].x;
      results[4 * half + 1] += weight * parts[rank][half].y;
      results[4 * half + 2] += weight * parts[rank][half].z;
      results[4 * half + 3] += weight * parts[rank][half].w;
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) results[i] /= sum;
  Packed<T> packed;
  Pack(results, packed);
  return packed;
}

// Consumers: puts the cluster's partial results together, each block a part of the rows.
template <class T, int kHeadDim>
__device__ void CombineAndWriteOut(const AttentionArgs& args, const Work& work, float scale,
                                   Consumer<kHeadDim>& me, Shared<kHeadDim>& shared) {
  using Layout = StepLayout<kHeadDim>;
  SharePartialResults(me, shared);
  SyncCluster();
  const int num_rows = kQueries / ClusterSize();
  for (int place = threadIdx.x - kWarpgroup; place < num_rows * Layout::kRowChunks;
       place += kConsumers * kWarpgroup) {
    const int row = ClusterRank() * num_rows + place / Layout::kRowChunks;
    const int chunk = place % Layout::kRowChunks;
    const int query = work.first_query + row;
    if (query >= work.num_queries) break;
    const Packed<T> results = Combine<T, kHeadDim>(shared, scale, row, chunk * 8);
    *reinterpret_cast<Packed<T>*>(ChunkOfResult<T, kHeadDim>(args, work, query, chunk)) = results;
  }
  SyncCluster();  // before a block ends whose shared memory others read
}

}  // namespace weft::worker::ops::cuda::prefill
