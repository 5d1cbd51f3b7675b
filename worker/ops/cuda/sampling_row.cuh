// Sampling: what is done to a row before tokens are weighed, and with the token at the
// end. A Slice is what the block has of the row: ids [first_id, first_id + size) in
// `logits`, and whether these are padded (kIsPadded) to whole vectors.
#pragma once

#include "worker/ops/cuda/sampling.h"
#include "worker/ops/cuda/sampling_weights.cuh"

namespace weft::worker::ops::cuda::sampling {

constexpr float kGreedyBelow = 1e-5f;
constexpr float kLog2e = 1.44269504f;

struct Row {
  int index;
  int slot;
  int num_tokens;
};

struct RowBest {
  float logit;
  int id;
  float floor;  // at least num_above logits are not below it
  int num_above;
  bool usable;  // the model's logits are finite, and so is the best as adjusted
};

__device__ inline bool IsFinite(float x) { return (__float_as_uint(x) & 0x7f800000) != 0x7f800000; }

__device__ inline void CopyWords(const void* from, void* to, int bytes) {
  for (int i = threadIdx.x; i < bytes / 4; i += kThreads) {
    static_cast<uint32_t*>(to)[i] = static_cast<const uint32_t*>(from)[i];
  }
}

// As the reference rounds it: no fused multiply-add.
__device__ inline float Penalized(float x, const SlotSampling& p, int num_in_output) {
  x = x > 0 ? __fdiv_rn(x, p.repetition_penalty) : __fmul_rn(x, p.repetition_penalty);
  if (num_in_output == 0) return x;
  const float frequency = __fmul_rn(p.frequency_penalty, static_cast<float>(num_in_output));
  return __fsub_rn(x, __fadd_rn(frequency, p.presence_penalty));
}

constexpr uint32_t kInPrompt = 0x80000000;

// Counts the slot's tokens whose ids are [first_id, first_id + num_ids).
__device__ inline void CountTokens(const int32_t* tokens, int num_tokens, int num_prompt_tokens,
                                   int first_id, int num_ids, uint32_t* counts) {
  constexpr int kAtOnce = 8;  // in flight
  for (int first = threadIdx.x; first < num_tokens; first += kAtOnce * kThreads) {
    int32_t ids[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int t = first + i * kThreads;
      ids[i] = t < num_tokens ? tokens[t] : -1;
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const uint32_t place = static_cast<uint32_t>(ids[i] - first_id);
      if (ids[i] < 0 || place >= num_ids) continue;
      if (first + i * kThreads < num_prompt_tokens) {
        atomicOr(&counts[place], kInPrompt);
      } else {
        atomicAdd(&counts[place], 1);
      }
    }
  }
}

// As many ids at a time as there are `counts`.
template <class Slice>
__device__ void ApplyPenalties(const Slice& slice, const SlotSampling& p, const int32_t* tokens,
                               int num_tokens, uint32_t* counts, int num_counts) {
  for (int first = 0; first < slice.size; first += num_counts) {
    const int n = min(num_counts, slice.size - first);
    for (int i = threadIdx.x; i < n; i += kThreads) counts[i] = 0;
    __syncthreads();
    CountTokens(tokens, num_tokens, p.num_prompt_tokens, slice.first_id + first, n, counts);
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += kThreads) {
      if (counts[i] == 0) continue;
      float& x = slice.logits[first + i];
      x = Penalized(x, p, static_cast<int>(counts[i] & ~kInPrompt));
    }
  }
}

__device__ inline bool HasPenalty(const SlotSampling& p) {
  return p.repetition_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0;
}

template <class Slice>
__device__ void ApplyBias(const Slice& slice, const SlotSampling& p, const int32_t* ids,
                          const float* values) {
  for (int i = threadIdx.x; i < p.num_bias; i += kThreads) {
    const uint32_t place = static_cast<uint32_t>(ids[i] - slice.first_id);
    if (place < slice.size) slice.logits[place] += values[i];
  }
}

template <class Slice>
__device__ void MaskStops(const Slice& slice, const SlotSampling& p) {
  for (int i = threadIdx.x; i < p.num_stop_ids; i += kThreads) {
    const uint32_t place = static_cast<uint32_t>(p.stop_ids[i] - slice.first_id);
    if (place < slice.size) slice.logits[place] = kMasked;
  }
}

// Until the host has written the row's mask.
__device__ inline const uint32_t* WaitForMask(const SampleArgs& args, int row) {
  const uint64_t step = *args.step;
  const uint64_t place = step % args.ring_steps * args.rows_per_step + row;
  if (threadIdx.x == 0) {
    const volatile uint64_t* ready = args.mask_ready + place;
    while (*ready != step + 1) __nanosleep(200);
    __threadfence_system();
  }
  __syncthreads();
  return args.masks + place * args.mask_stride;
}

template <class Slice>
__device__ void ApplyMask(const Slice& slice, const uint32_t* allowed) {
  for (int v = threadIdx.x; v < slice.num_vectors(); v += kThreads) {
    const int id = slice.first_id + v * kVector;  // four bits of one word
    const uint32_t bits = __ldcv(allowed + id / 32) >> (id % 32);
    float* x = slice.logits + v * kVector;
    const int n = Slice::kIsPadded ? kVector : min(kVector, slice.size - v * kVector);
    for (int i = 0; i < n; ++i) {
      if (!(bits >> i & 1)) x[i] = kMasked;
    }
  }
}

// Penalties, bias, stop tokens and mask, each if the row has it. False if none.
template <class Slice>
__device__ bool Adjust(const SampleArgs& args, const Row& row, const SlotSampling& p,
                       const Slice& slice, uint32_t* counts, int num_counts) {
  const bool has_penalty = HasPenalty(p);
  const bool has_stops =
      row.num_tokens - p.num_prompt_tokens < p.min_tokens && p.num_stop_ids < args.vocab_size;
  if (!has_penalty && p.num_bias == 0 && !has_stops && !p.has_mask) {
    return false;
  }
  if (has_penalty) {
    ApplyPenalties(slice, p, args.tokens + row.slot * args.token_stride, row.num_tokens, counts,
                   num_counts);
    __syncthreads();
  }
  if (p.num_bias > 0) {
    const int64_t first = int64_t{row.slot} * kMaxBiasEntries;
    ApplyBias(slice, p, args.bias_ids + first, args.bias_values + first);
    __syncthreads();
  }
  if (has_stops) {
    MaskStops(slice, p);
    __syncthreads();
  }
  if (p.has_mask) {
    ApplyMask(slice, WaitForMask(args, row.index));
    __syncthreads();
  }
  return true;
}

__device__ inline void WriteToken(const SampleArgs& args, const Row& row, SampledRow* answer,
                                  int token, float logprob) {
  answer->token = token;
  answer->logprob = logprob;
  args.tokens[row.slot * args.token_stride + row.num_tokens] = max(token, 0);
  args.num_tokens[row.slot] = row.num_tokens + 1;
}

}  // namespace weft::worker::ops::cuda::sampling
