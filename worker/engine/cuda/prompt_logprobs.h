// How likely each token of a prompt was, from rows of logits on the device: what
// worker/engine/prompt_logprobs.h does, which is the reference. Plain: a prompt's
// logprobs are asked for to evaluate, not to serve.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "worker/ops/cuda/sampling.h"

namespace weft::worker {

// Written straight into host memory that the device can write (pinned, mapped).
struct PromptAnswer {
  float logprob;
  int32_t rank;  // 0: a logit was NaN or infinite, and nothing else is written
  int32_t top_ids[ops::cuda::kMaxTopLogprobs];
  float top_logprobs[ops::cuda::kMaxTopLogprobs];
};

struct PromptLogprobsArgs {
  const float* logits = nullptr;  // [rows, vocab_stride] on the device; not changed
  int64_t vocab_stride = 0;
  int vocab_size = 0;  // ids past it are padding
  int num_rows = 0;    // at least 1
  // By row, on the device: the token it predicts, and how many alternatives are wanted,
  // at most kMaxTopLogprobs and vocab_size.
  const int32_t* targets = nullptr;
  const int32_t* num_tops = nullptr;
  PromptAnswer* answers = nullptr;  // [rows]
};
cudaError_t FindPromptLogprobs(const PromptLogprobsArgs& args, cudaStream_t stream);

}  // namespace weft::worker
