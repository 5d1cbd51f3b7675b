// What the device keeps of its sequences between steps, by slot, and how a step's
// command reaches it: one packed record in pinned memory.
//
// A step is, on one stream:
//
//   EnterSlots     sequences that are new here: all known tokens, blocks, parameters
//   PrepareStep    from the record: the arrays of ops::Batch; blocks appended
//   ... forward pass, sampling ...
//   FinishStep     tells the host, through pinned memory, that its answers are there
//
// A captured step reads its record from the host's memory directly, from the place in
// the ring that the count of steps gives: a graph's arguments never change. An eager
// one copies it to the device first.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/cuda/sampling.h"

namespace weft::worker {

// Records, and answers, that may be under way: two steps in flight, one being made,
// and a power of two.
inline constexpr int kStepRing = 4;

// A row as the host describes it.
struct RowRecord {
  int32_t slot;
  int32_t first_position;
  int32_t num_tokens;
  int32_t logit_row;  // -1: no logits are wanted
};

// A block appended to a slot's table.
struct NewBlock {
  int32_t place;  // slot * max_blocks + index
  int32_t block;
};

// Behind it in memory: RowRecord [max_rows], int32 row_starts [max_rows + 1], int32
// single_block_sums [max_rows + 1], NewBlock [max_new_blocks].
struct StepRecord {
  int32_t num_rows;  // single rows first
  int32_t num_single_rows;
  int32_t num_tokens;
  int32_t num_logits;
  int32_t num_new_blocks;
  int32_t padding[3];
};

struct StepRecordShape {
  int max_rows = 0;
  int max_new_blocks = 0;

  constexpr int64_t rows_offset() const { return sizeof(StepRecord); }
  constexpr int64_t row_starts_offset() const {
    return rows_offset() + int64_t{max_rows} * sizeof(RowRecord);
  }
  constexpr int64_t block_sums_offset() const {
    return row_starts_offset() + (int64_t{max_rows} + 1) * sizeof(int32_t);
  }
  constexpr int64_t new_blocks_offset() const {
    return (block_sums_offset() + (int64_t{max_rows} + 1) * sizeof(int32_t) + 15) / 16 * 16;
  }
  constexpr int64_t bytes() const {
    return (new_blocks_offset() + int64_t{max_new_blocks} * sizeof(NewBlock) + 255) / 256 * 256;
  }
};

// A sequence that enters a slot, in the staging area: where its parts begin, counted
// in bytes from the area's start, each a multiple of 16.
struct EntryRecord {
  int32_t slot;
  int32_t num_tokens;
  int32_t num_blocks;
  int32_t num_bias;
  int64_t tokens_offset;
  int64_t blocks_offset;
  int64_t bias_ids_offset;
  int64_t bias_values_offset;
  ops::cuda::SlotSampling sampling;
};

// By slot, in device memory.
struct SlotState {
  int64_t token_stride = 0;  // tokens of a slot
  int max_blocks = 0;        // of a slot

  int32_t* tokens = nullptr;      // [slots, token_stride] known: prompt, then output
  int32_t* num_tokens = nullptr;  // [slots]
  int32_t* blocks = nullptr;      // [slots, max_blocks]
  ops::cuda::SlotSampling* sampling = nullptr;
  int32_t* bias_ids = nullptr;  // [slots, kMaxBiasEntries]
  float* bias_values = nullptr;
};

// The arrays of ops::Batch in device memory, and the slot of each row of logits.
struct BatchArrays {
  int32_t* token_ids = nullptr;          // [max tokens]
  int32_t* positions = nullptr;          // [max tokens]
  int32_t* row_starts = nullptr;         // [max rows + 1]
  int32_t* block_starts = nullptr;       // [max rows]
  int32_t* single_block_sums = nullptr;  // [max rows + 1]
  int32_t* logit_tokens = nullptr;       // [max rows]
  int32_t* logit_slots = nullptr;        // [max rows]; -1: padding
};

// `staging`: device memory that begins with `num_entries` EntryRecords.
cudaError_t EnterSlots(const char* staging, int num_entries, const SlotState& slots,
                       cudaStream_t stream);

struct PrepareArgs {
  StepRecordShape shape;
  // The record is at records + (*step % kStepRing) * shape.bytes(), or, without `step`,
  // at records.
  const char* records = nullptr;
  const uint64_t* step = nullptr;
  SlotState slots;
  BatchArrays batch;
  // What the arrays are filled up to: rows and tokens that the record does not have
  // are padding. Only for steps of single rows; else the record's own counts.
  int num_rows = 0;
  int num_tokens = 0;
};
cudaError_t PrepareStep(const PrepareArgs& args, cudaStream_t stream);

// done[*step % kStepRing] = *step + 1; *step += 1. `done` is pinned host memory.
cudaError_t FinishStep(uint64_t* step, uint64_t* done, cudaStream_t stream);

}  // namespace weft::worker
