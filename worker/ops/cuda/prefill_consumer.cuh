// Prefill attention's consumers: scores, running softmax, weighted values, results. See
// prefill_attention.cu.
#pragma once

#include "worker/ops/cuda/prefill_work.cuh"
#include "worker/ops/cuda/wgmma.cuh"

namespace weft::worker::ops::cuda::prefill {

// A consumer's thread: its place, and the state of its two rows of queries, which are
// 8 apart (wgmma.cuh). Each row is shared by four neighbouring lanes.
template <int kHeadDim>
struct Consumer {
  int index;              // which consumer
  int thread;             // in the warpgroup
  int first_row;          // of the block's 128
  int last_keys[2];       // that the rows see
  int first_masked_step;  // the first with keys that some row of the warp does not see
  float largest[2] = {-INFINITY, -INFINITY};  // scores so far
  float sum[2] = {0, 0};                      // of weights, this thread's columns only
  float out[kHeadDim / 2] = {};               // weighted values, not yet divided

  explicit __device__ Consumer(const Work& work)
      : index(threadIdx.x / kWarpgroup - 1), thread(threadIdx.x % kWarpgroup) {
    first_row = index * kConsumerQueries + thread / kWarpLanes * 16 + thread % kWarpLanes / 4;
    for (int i = 0; i < 2; ++i) {
      // Rows past the end are computed as the last one, and dropped.
      const int query = min(work.first_query + first_row + 8 * i, work.num_queries - 1);
      last_keys[i] = work.LastKeyOf(query);
    }
    const int warp_row = first_row - thread % kWarpLanes / 4;
    const int warp_query = min(work.first_query + warp_row, work.num_queries - 1);
    first_masked_step = (work.LastKeyOf(warp_query) + 1) / kStepKeys;
  }
};

template <class T, int kHeadDim>
__device__ __forceinline__ void StartScores(const uint8_t* queries, const uint8_t* keys,
                                            float (&scores)[kStepKeys / 2]) {
  using Layout = StepLayout<kHeadDim>;
  const uint64_t left = Operand(SharedAddress(queries));
  const uint64_t right = Operand(SharedAddress(keys));
#pragma unroll
  for (int i = 0; i < kHeadDim / 16; ++i) {
    const int offset = i / 4 * Layout::kPieceBytes + i % 4 * 32;
    MultiplyShared<T>(scores, Advance(left, offset), Advance(right, offset), i > 0);
  }
  EndMultiplies();
}

template <class T, int kHeadDim>
__device__ __forceinline__ void StartValues(const uint32_t (&weights)[kStepKeys / 16][4],
                                            const uint8_t* values, bool first,
                                            float (&out)[kHeadDim / 2]) {
  using Layout = StepLayout<kHeadDim>;
  const uint64_t right = Operand(SharedAddress(values), kTileTokens * 128);
#pragma unroll
  for (int i = 0; i < kStepKeys / 16; ++i) {
    MultiplyRegisters<T>(out, weights[i], Advance(right, i * Layout::kTileBytes), !first || i > 0);
  }
  EndMultiplies();
}

// Each warp of the consumers has read the stage.
__device__ __forceinline__ void ReleaseStage(uint64_t* empty) {
  if (threadIdx.x % kWarpLanes == 0) Arrive(empty);
}

template <int kHeadDim>
__device__ __forceinline__ void MaskScores(const Consumer<kHeadDim>& me, int step,
                                           float (&scores)[kStepKeys / 2]) {
  const int first_key = step * kStepKeys + threadIdx.x % 4 * 2;
#pragma unroll
  for (int i = 0; i < kStepKeys / 2; ++i) {
    const int key = first_key + i / 4 * 8 + i % 2;
    if (key > me.last_keys[i / 2 % 2]) scores[i] = -INFINITY;
  }
}

__device__ __forceinline__ float Exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// Turns scores into weights relative to the rows' new largest score, and says what
// the sums so far must be multiplied with (`correction`).
template <int kHeadDim>
__device__ __forceinline__ void Softmax(Consumer<kHeadDim>& me, float scale,
                                        float (&scores)[kStepKeys / 2], float (&correction)[2]) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    float largest = me.largest[row];
#pragma unroll
    for (int i = 0; i < kStepKeys / 4; ++i) {
      largest = fmaxf(largest, scores[i / 2 * 4 + 2 * row + i % 2]);
    }
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
    // A row may have seen no key yet, but only where a cluster shares the keys.
    const float shift = largest == -INFINITY ? 0.0f : largest * scale;
    correction[row] = Exp2(me.largest[row] * scale - shift);
    me.largest[row] = largest;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kStepKeys / 4; ++i) {
      float& score = scores[i / 2 * 4 + 2 * row + i % 2];
      score = Exp2(score * scale - shift);
      sum += score;
    }
    me.sum[row] = me.sum[row] * correction[row] + sum;
  }
}

template <int kCount>
__device__ __forceinline__ void ScaleRows(const float (&factors)[2], float (&sums)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) sums[i] *= factors[i / 2 % 2];
}

template <class T>
__device__ __forceinline__ void PackWeights(const float (&scores)[kStepKeys / 2],
                                            uint32_t (&weights)[kStepKeys / 16][4]) {
#pragma unroll
  for (int i = 0; i < kStepKeys / 4; ++i) {
    weights[i / 4][i % 4] = PackPair<T>(scores[2 * i], scores[2 * i + 1]);
  }
}

// A masked key has weight 0, but 0 times what lies there may be NaN: values past the
// last key become zeros. Both consumers do it, each for itself.
template <int kHeadDim>
__device__ void ClearTail(const Consumer<kHeadDim>& me, int num_step_keys, uint8_t* values) {
  using Layout = StepLayout<kHeadDim>;
  if (num_step_keys == kStepKeys) return;
  for (int row = num_step_keys + me.thread; row < kStepKeys; row += kWarpgroup) {
    for (int chunk = 0; chunk < Layout::kRowChunks; ++chunk) {
      *reinterpret_cast<uint4*>(values + Layout::ValueChunk(row, chunk)) = make_uint4(0, 0, 0, 0);
    }
  }
  FenceSharedForCopies();
  SyncNamed(kConsumerBarrier + me.index, kWarpgroup);
}

// The sums of weights over all of a row's columns.
template <int kHeadDim>
__device__ __forceinline__ void FinishSums(Consumer<kHeadDim>& me) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    me.sum[row] += __shfl_xor_sync(kAllLanes, me.sum[row], 1);
    me.sum[row] += __shfl_xor_sync(kAllLanes, me.sum[row], 2);
  }
}

template <class T, int kHeadDim>
__device__ __forceinline__ uint4* ChunkOfResult(const AttentionArgs& args, const Work& work,
                                                int query, int chunk) {
  const auto [token, head] = PlaceOfQuery(work, query);
  return reinterpret_cast<uint4*>(static_cast<T*>(args.out) +
                                  (static_cast<int64_t>(token) * args.shape.num_heads + head) *
                                      kHeadDim) +
         chunk;
}

// Divides by the weights' sum and writes out, by way of the queries' place in shared
// memory so that whole chunks are written.
template <class T, int kHeadDim>
__device__ void WriteOut(const AttentionArgs& args, const Work& work, Consumer<kHeadDim>& me,
                         uint8_t* staging) {
  using Layout = StepLayout<kHeadDim>;
  const int lane = threadIdx.x % kWarpLanes;
  FinishSums(me);
  const float inverse[2] = {1.0f / me.sum[0], 1.0f / me.sum[1]};
  ScaleRows(inverse, me.out);
  SyncNamed(kConsumerBarrier + me.index, kWarpgroup);  // all have read the queries
#pragma unroll
  for (int i = 0; i < kHeadDim / 4; ++i) {
    const int offset = Layout::KeyChunk(me.first_row + i % 2 * 8, i / 2) + lane % 4 * 4;
    *reinterpret_cast<uint32_t*>(staging + offset) = PackPair<T>(me.out[2 * i], me.out[2 * i + 1]);
  }
  __syncwarp();
  const int first_row = me.first_row - lane / 4;  // the warp's 16
#pragma unroll
  for (int i = 0; i < 16 * Layout::kRowChunks / kWarpLanes; ++i) {
    const int place = i * kWarpLanes + lane;
    const int row = first_row + place / Layout::kRowChunks;
    const int chunk = place % Layout::kRowChunks;
    const int query = work.first_query + row;
    if (query >= work.num_queries) break;
    *ChunkOfResult<T, kHeadDim>(args, work, query, chunk) =
        *reinterpret_cast<const uint4*>(staging + Layout::KeyChunk(row, chunk));
  }
}

// A consumer's steps of a work, the ring's `ring`th on; at least one. Between a batch of
// multiplies and the wait for it none of its registers is touched.
template <class T, int kHeadDim>
__device__ __forceinline__ void Attend(const Work& work, Steps steps, int ring,
                                       const uint8_t* queries, float scale, Consumer<kHeadDim>& me,
                                       Shared<kHeadDim>& shared) {
  constexpr int kBoth = kConsumers * kWarpgroup;
  const int my_turn = kTurnBarrier + me.index, other_turn = kTurnBarrier + 1 - me.index;
  queries += me.index * kConsumerQueries * 128;
  float scores[kStepKeys / 2];
  uint32_t weights[kStepKeys / 16][4];
  float correction[2];

  RingPlace place = PlaceOf(ring);
  WaitBarrier(&shared.keys_full[place.stage], place.parity);
  SyncNamed(my_turn, kBoth);
  BeginMultiplies();
  StartScores<T, kHeadDim>(queries, shared.keys[place.stage], scores);
  ArriveNamed(other_turn, kBoth);
  WaitForMultiplies<0>();
  Settle(scores);
  ReleaseStage(&shared.keys_empty[place.stage]);
  if (steps.first >= me.first_masked_step) MaskScores(me, steps.first, scores);
  Softmax(me, scale, scores, correction);
  PackWeights<T>(scores, weights);

  for (int step = steps.first + 1; step < steps.end; ++step) {
    const RingPlace last = place;
    place = PlaceOf(ring + step - steps.first);
    WaitBarrier(&shared.keys_full[place.stage], place.parity);
    SyncNamed(my_turn, kBoth);
    Settle(me.out);
    BeginMultiplies();
    StartScores<T, kHeadDim>(queries, shared.keys[place.stage], scores);
    WaitBarrier(&shared.values_full[last.stage], last.parity);
    StartValues<T, kHeadDim>(weights, shared.values[last.stage], step == steps.first + 1, me.out);
    ArriveNamed(other_turn, kBoth);
    WaitForMultiplies<1>();
    Settle(scores);
    ReleaseStage(&shared.keys_empty[place.stage]);
    if (step >= me.first_masked_step) MaskScores(me, step, scores);
    Softmax(me, scale, scores, correction);
    WaitForMultiplies<0>();
    Settle(me.out);
    ReleaseStage(&shared.values_empty[last.stage]);
    ScaleRows(correction, me.out);
    PackWeights<T>(scores, weights);
  }

  const int last_step = steps.end - 1;
  WaitBarrier(&shared.values_full[place.stage], place.parity);
  ClearTail(me, min(work.num_keys - last_step * kStepKeys, kStepKeys), shared.values[place.stage]);
  Settle(me.out);
  BeginMultiplies();
  StartValues<T, kHeadDim>(weights, shared.values[place.stage], last_step == steps.first, me.out);
  WaitForMultiplies<0>();
  Settle(me.out);
  ReleaseStage(&shared.values_empty[place.stage]);
}

}  // namespace weft::worker::ops::cuda::prefill
