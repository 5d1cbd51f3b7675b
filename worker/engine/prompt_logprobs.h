// How likely each token of a prompt was, from the row of logits before it. Of the
// model's own distribution: no penalty, bias or temperature. Ranks and the top are in
// the order of logits, the lower id first of equals.
#pragma once

#include <span>

#include "common/sampling.h"
#include "worker/engine/backend.h"

namespace weft::worker {

// Room for `count` tokens from `first_position` on, with `num_top` alternatives each,
// or as many as there are ids. Not filled.
PromptLogprobs MakePromptLogprobs(int first_position, int count, int num_top, int vocab_size);

// Writes entry `index` of `out`: `token`, given the row that predicts it. `logits` is
// the row up to the tokenizer's last id. False: there is a NaN or infinity in it.
// Different entries may be written at once.
[[nodiscard]] bool FillPromptLogprob(std::span<const float> logits, TokenId token, int index,
                                     PromptLogprobs& out);

}  // namespace weft::worker
