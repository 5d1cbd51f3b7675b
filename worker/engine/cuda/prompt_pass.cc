#include "worker/engine/cuda/prompt_pass.h"

#include <algorithm>
#include <string>
#include <utility>

#include "worker/engine/cuda/die.h"
#include "worker/engine/cuda/step_state.h"
#include "worker/engine/prompt_logprobs.h"

namespace weft::worker {

PromptPass::PromptPass(const BackendLimits& limits, ops::cuda::DeviceMemory& memory)
    : max_tokens_(limits.max_step_tokens),
      max_logits_(limits.max_rows),
      vocab_size_(limits.vocab_size),
      inputs_(kStepRing * num_inputs()),
      answers_(kStepRing * max_tokens_),
      device_inputs_(
          static_cast<int32_t*>(memory.TakeZeroed(num_inputs() * int64_t{sizeof(int32_t)}))) {}

int64_t PromptPass::PlaceOf(uint64_t step) { return static_cast<int64_t>(step % kStepRing); }

void PromptPass::Add(int row, const StepRowPlan& plan, const Slot& slot, int first_token,
                     uint64_t step, PromptRows& wanted) {
  const int num_top = std::min(slot.sampling.params().num_prompt_logprobs.value_or(0), vocab_size_);
  wanted.rows.push_back({.row = row,
                         .first_position = plan.first_position + 1,
                         .num_tokens = plan.num_prompt_logprobs,
                         .num_top = num_top,
                         .first_answer = wanted.num_answers});
  int32_t* tokens = inputs_.data() + PlaceOf(step) * num_inputs();
  int32_t* targets = tokens + max_tokens_;
  int32_t* num_tops = targets + max_tokens_;
  for (int i = 0; i < plan.num_prompt_logprobs; ++i) {
    const int answer = wanted.num_answers++;
    tokens[answer] = first_token + i;
    targets[answer] = slot.tokens[plan.first_position + 1 + i];
    num_tops[answer] = num_top;
  }
}

void PromptPass::Launch(const PromptRows& wanted, uint64_t step, ops::Batch batch, Qwen2& model,
                        ops::cuda::CudaOps& ops) {
  const int64_t place = PlaceOf(step);
  CheckOrDie(cudaMemcpyAsync(device_inputs_, inputs_.data() + place * num_inputs(),
                             num_inputs() * int64_t{sizeof(int32_t)}, cudaMemcpyHostToDevice,
                             ops.stream()),
             "copying a prompt's tokens");
  for (int first = 0; first < wanted.num_answers; first += max_logits_) {
    batch.num_logits = std::min(max_logits_, wanted.num_answers - first);
    batch.logit_tokens = device_inputs_ + first;
    const at::Tensor logits = model.Logits(batch);
    if (absl::Status s = ops.error(); !s.ok()) Die(std::string(s.message()));
    CheckOrDie(FindPromptLogprobs({.logits = logits.const_data_ptr<float>(),
                                   .vocab_stride = logits.size(1),
                                   .vocab_size = vocab_size_,
                                   .num_rows = batch.num_logits,
                                   .targets = device_inputs_ + max_tokens_ + first,
                                   .num_tops = device_inputs_ + 2 * max_tokens_ + first,
                                   .answers = answers_.data() + place * max_tokens_ + first},
                                  ops.stream()),
               "a prompt's logprobs");
  }
}

void PromptPass::Read(const PromptRows& wanted, uint64_t step,
                      std::vector<RowResult>& results) const {
  const PromptAnswer* answers = answers_.data() + PlaceOf(step) * max_tokens_;
  for (const PromptRows::Row& row : wanted.rows) {
    PromptLogprobs logprobs =
        MakePromptLogprobs(row.first_position, row.num_tokens, row.num_top, vocab_size_);
    bool is_finite = true;
    for (int i = 0; i < row.num_tokens; ++i) {
      const PromptAnswer& answer = answers[row.first_answer + i];
      is_finite &= answer.rank > 0;
      logprobs.logprobs[i] = answer.logprob;
      logprobs.ranks[i] = answer.rank;
      std::copy_n(answer.top_ids, row.num_top, logprobs.top_tokens.data() + i * row.num_top);
      std::copy_n(answer.top_logprobs, row.num_top, logprobs.top_logprobs.data() + i * row.num_top);
    }
    RowResult& result = results[row.row];
    if (is_finite) {
      result.prompt_logprobs = std::move(logprobs);
    } else {
      result = NonFiniteRow();
    }
  }
}

}  // namespace weft::worker
