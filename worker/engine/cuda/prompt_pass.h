// The second pass over a step's hidden states, for the logprobs of prompt tokens: as many
// tokens at a time as there are rows of logits. Never part of a captured step.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/engine/backend.h"
#include "worker/engine/cuda/pinned_memory.h"
#include "worker/engine/cuda/prompt_logprobs.h"
#include "worker/engine/slot_table.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cuda/ops_cuda.h"

namespace weft::worker {

// What a step wants of it.
struct PromptRows {
  struct Row {
    int row = 0;  // place in the command
    int first_position = 0;
    int num_tokens = 0;
    int num_top = 0;
    int first_answer = 0;  // of the step's
  };
  std::vector<Row> rows;
  int num_answers = 0;
};

// `step` is the device's count of the step: a place in each ring, which is free again when
// the step's answers have been read.
class PromptPass {
 public:
  PromptPass(const BackendLimits& limits, ops::cuda::DeviceMemory& memory);

  // The row's tokens begin at `first_token` of the batch. Rows come in that order.
  void Add(int row, const StepRowPlan& plan, const Slot& slot, int first_token, uint64_t step,
           PromptRows& wanted);
  // Behind the model's forward pass over `batch`.
  void Launch(const PromptRows& wanted, uint64_t step, ops::Batch batch, Qwen2& model,
              ops::cuda::CudaOps& ops);
  // Once the step is done: into the results of the rows.
  void Read(const PromptRows& wanted, uint64_t step, std::vector<RowResult>& results) const;

 private:
  // Three arrays: tokens of the batch, the tokens to be predicted, alternatives wanted.
  int64_t num_inputs() const { return 3 * max_tokens_; }
  static int64_t PlaceOf(uint64_t step);

  const int64_t max_tokens_;  // of a step
  const int max_logits_;
  const int vocab_size_;
  PinnedArray<int32_t> inputs_;        // [kStepRing, 3, max tokens]
  PinnedArray<PromptAnswer> answers_;  // [kStepRing, max tokens]
  int32_t* const device_inputs_;       // [3, max tokens]
};

}  // namespace weft::worker
