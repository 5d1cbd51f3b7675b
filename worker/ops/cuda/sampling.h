// One token a row out of its logits, on the device, in the order and with the
// noise of worker/engine/sampler.h, whose SampleRow is the reference.
//
// A row's token depends on nothing but the row and what its slot holds: the same again
// is the same token, whatever the other rows are. Where rounding decides (noise within
// some 1e-6 of the border between two tokens), it may not be the reference's.
//
// All that a sequence's sampling needs is kept by slot in device memory: nothing
// of the vocabulary's size but the logits themselves. All pointers are device
// memory unless said otherwise.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/cuda/device_features.h"

namespace weft::worker::ops::cuda {

inline constexpr int kMaxBiasEntries = 1024;  // common/sampling.h: kMaxLogitBias
inline constexpr int kMaxStopIds = 64;        // kMaxStopTokens
inline constexpr int kMaxTopLogprobs = 20;    // kMaxLogprobs
// Ids that a row may have: their masses are summed in 64 bits.
inline constexpr int kMaxVocab = (1 << 19) - 1;

// Uploaded when a sequence enters its slot. Stop ids differ from each other.
struct SlotSampling {
  float temperature = 1;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  uint64_t seed = 0;
  int32_t top_k = 0;
  int32_t min_tokens = 0;
  int32_t num_prompt_tokens = 0;
  int32_t num_logprobs = -1;  // -1: none
  int32_t num_bias = 0;
  int32_t num_stop_ids = 0;
  int32_t has_mask = 0;  // each of its samples waits for a mask
  int32_t stop_ids[kMaxStopIds] = {};
};

// What a row's answer is, written straight into host memory that the device can
// write (pinned, mapped).
struct SampledRow {
  int32_t token = 0;    // -1: a logit was NaN or infinite, or none is left to sample
  int32_t num_top = 0;  // entries of top_ids and top_logprobs
  float logprob = 0;    // if the slot asked
  int32_t top_ids[kMaxTopLogprobs];
  float top_logprobs[kMaxTopLogprobs];
};

struct SampleArgs {
  const float* logits = nullptr;  // [rows, vocab_stride]; SampleInOneBlock adjusts them in place
  int64_t vocab_stride = 0;
  int vocab_size = 0;  // ids past it are padding and never sampled
  int num_rows = 0;    // rows with logits; captured in graphs

  const int32_t* row_slots = nullptr;  // [rows] slot of each; -1: padding, skipped

  // by slot; an id has at most one bias
  const SlotSampling* slots = nullptr;
  const int32_t* bias_ids = nullptr;   // [slots, kMaxBiasEntries]
  const float* bias_values = nullptr;  // [slots, kMaxBiasEntries]
  // Every known token of the slot: prompt, then output. The sampled token is written
  // to tokens[slot * token_stride + num_tokens[slot]], and num_tokens grows by one.
  // (A non-finite row writes token 0: its sequence ends.)
  int32_t* tokens = nullptr;  // [slots, token_stride]
  int64_t token_stride = 0;
  int32_t* num_tokens = nullptr;  // [slots]

  // Grammar masks, in host memory that the device can read: of the place in the ring that
  // an answer has, too. Bit i % 32 of masks[place * mask_stride + i / 32] allows id i, once
  // mask_ready[place] is *step + 1. A row of a slot that has_mask waits until it is.
  const uint32_t* masks = nullptr;
  int64_t mask_stride = 0;
  const uint64_t* mask_ready = nullptr;

  // Answers go to ring + (*step % ring_steps) * rows_per_step + row; `step` is read,
  // not changed.
  SampledRow* ring = nullptr;
  int ring_steps = 0;
  int rows_per_step = 0;
  const uint64_t* step = nullptr;
};

// Once per process, before the first launch or capture.
cudaError_t PrepareSampling(const DeviceFeatures& device);

// A cluster of blocks a row, or one, as the device and the vocabulary want it. The
// vocabulary has at most 524,287 ids; else an error.
cudaError_t Sample(const SampleArgs& args, const DeviceFeatures& device, cudaStream_t stream);

// What Sample does where there are no clusters, or their blocks have too little shared
// memory for the row's logits. Any device; the same tokens, more slowly.
cudaError_t SampleInOneBlock(const SampleArgs& args, cudaStream_t stream);

}  // namespace weft::worker::ops::cuda
