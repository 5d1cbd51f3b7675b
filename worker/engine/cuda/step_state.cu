#include <algorithm>

#include "worker/engine/cuda/step_state.h"
#include "worker/ops/cuda/launch.cuh"
#include "worker/ops/cuda/row_search.cuh"

namespace weft::worker {
namespace {

using ops::cuda::Grid;
using ops::cuda::kMaxBiasEntries;
using ops::cuda::Launch;
using ops::cuda::LetNextStart;
using ops::cuda::RowOf;
using ops::cuda::WaitForPrevious;

constexpr int kThreads = 256;

template <class T>
__device__ void Copy(T* to, const char* from, int count) {
  const T* values = reinterpret_cast<const T*>(from);
  for (int i = threadIdx.x; i < count; i += blockDim.x) to[i] = values[i];
}

// A block an entry.
__global__ void EnterSlotsKernel(const char* staging, SlotState slots) {
  LetNextStart();
  WaitForPrevious();
  const EntryRecord& entry = reinterpret_cast<const EntryRecord*>(staging)[blockIdx.x];
  const int64_t slot = entry.slot;
  Copy(slots.tokens + slot * slots.token_stride, staging + entry.tokens_offset, entry.num_tokens);
  Copy(slots.blocks + slot * slots.max_blocks, staging + entry.blocks_offset, entry.num_blocks);
  Copy(slots.bias_ids + slot * kMaxBiasEntries, staging + entry.bias_ids_offset, entry.num_bias);
  Copy(slots.bias_values + slot * kMaxBiasEntries, staging + entry.bias_values_offset,
       entry.num_bias);
  if (threadIdx.x == 0) {
    slots.num_tokens[slot] = entry.num_tokens;
    slots.sampling[slot] = entry.sampling;
  }
}

__global__ void PrepareStepKernel(PrepareArgs args) {
  LetNextStart();
  WaitForPrevious();
  const char* at = args.records;
  if (args.step != nullptr) at += *args.step % kStepRing * args.shape.bytes();
  const auto& record = *reinterpret_cast<const StepRecord*>(at);
  const auto* rows = reinterpret_cast<const RowRecord*>(at + args.shape.rows_offset());
  const auto* row_starts = reinterpret_cast<const int32_t*>(at + args.shape.row_starts_offset());
  const auto* block_sums = reinterpret_cast<const int32_t*>(at + args.shape.block_sums_offset());
  const auto* new_blocks = reinterpret_cast<const NewBlock*>(at + args.shape.new_blocks_offset());
  const int num_rows = record.num_rows, num_single = record.num_single_rows;
  const BatchArrays& batch = args.batch;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;

  for (int b = i; b < record.num_new_blocks; b += gridDim.x * blockDim.x) {
    args.slots.blocks[new_blocks[b].place] = new_blocks[b].block;
  }
  if (i < args.num_rows) {
    const bool exists = i < num_rows;
    const RowRecord row = exists ? rows[i] : RowRecord{-1, -1, 1, -1};
    batch.row_starts[i] = exists ? row_starts[i] : record.num_tokens + i - num_rows;
    batch.block_starts[i] = exists ? row.slot * args.slots.max_blocks : 0;
    batch.single_block_sums[i] = block_sums[min(i, num_single)];
    if (row.logit_row >= 0) {
      batch.logit_tokens[row.logit_row] = row_starts[i] + row.num_tokens - 1;
      batch.logit_slots[row.logit_row] = row.slot;
    }
    if (!exists) {  // padding, behind the rows that have logits
      batch.logit_tokens[i] = i;
      batch.logit_slots[i] = -1;
    }
  } else if (i == args.num_rows) {
    batch.row_starts[i] = max(args.num_tokens, record.num_tokens);
    batch.single_block_sums[i] = block_sums[num_single];
  }
  if (i < args.num_tokens) {
    int token = -1, position = -1;
    if (i < record.num_tokens) {
      const int r = i < num_single ? i : RowOf(row_starts, 0, num_rows, i);
      const RowRecord row = rows[r];
      position = row.first_position + i - row_starts[r];
      token = args.slots.tokens[row.slot * args.slots.token_stride + position];
    }
    batch.token_ids[i] = token;
    batch.positions[i] = position;
  }
}

__global__ void FinishStepKernel(uint64_t* step, volatile uint64_t* done) {
  LetNextStart();
  WaitForPrevious();
  const uint64_t count = *step;
  __threadfence_system();
  done[count % kStepRing] = count + 1;
  *step = count + 1;
}

}  // namespace

cudaError_t EnterSlots(const char* staging, int num_entries, const SlotState& slots,
                       cudaStream_t stream) {
  const Grid grid = {.blocks = dim3(num_entries), .threads = dim3(kThreads)};
  return Launch(EnterSlotsKernel, grid, stream, staging, slots);
}

cudaError_t PrepareStep(const PrepareArgs& args, cudaStream_t stream) {
  const int count = std::max(args.num_rows + 1, args.num_tokens);
  const Grid grid = {.blocks = dim3((count + kThreads - 1) / kThreads),
                     .threads = dim3(std::min(kThreads, (count + 31) / 32 * 32))};
  return Launch(PrepareStepKernel, grid, stream, args);
}

cudaError_t FinishStep(uint64_t* step, uint64_t* done, cudaStream_t stream) {
  return Launch(FinishStepKernel, Grid{.blocks = dim3(1), .threads = dim3(1)}, stream, step, done);
}

}  // namespace weft::worker
