// What Plan decides: one step of one worker, in worker.proto's terms.
//
// A Step is a buffer that the caller keeps and hands to Plan again and again, so
// that a steady decode step allocates nothing. What an entry points to belongs
// to the core and stays only until the next call on it: encode the step first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/trace_context.h"
#include "scheduler/core/types.h"

namespace weft::core {

// A sequence entering a slot; the same whether it is new, was preempted, or
// comes from another worker.
struct SlotEntry {
  int slot = 0;
  std::span<const TokenId> tokens;  // every known id: prompt, then output
  int num_prompt_tokens = 0;
  int num_computed_tokens = 0;  // their KV is in `blocks` already
  std::span<const int> blocks;  // position p lives in blocks[p / kBlockTokens]
  const SamplingParams* sampling = nullptr;
  SpanContext trace;
};

// The row's appended blocks are the next `num_new_blocks` of Step::new_blocks.
struct StepRow {
  int slot = 0;
  int num_tokens = 0;
  int num_new_blocks = 0;
};

// Applied by the worker in this order.
struct Step {
  WorkerId worker = 0;
  uint64_t step_id = 0;  // from 1, without a gap within a worker
  std::vector<int> released_slots;
  std::vector<SlotEntry> entries;
  std::vector<StepRow> rows;
  std::vector<int> new_blocks;  // rows' block ids one after another

  void Clear() {
    released_slots.clear();
    entries.clear();
    rows.clear();
    new_blocks.clear();
  }
};

}  // namespace weft::core
