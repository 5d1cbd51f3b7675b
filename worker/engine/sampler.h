// From one row of logits to a token, deterministic given the logits.
//
// In this order, as in vLLM and transformers:
//   1. repetition penalty (prompt and output: a positive logit is divided by it,
//      a negative one multiplied), frequency and presence penalty (output only)
//   2. logit bias
//   3. stop tokens are masked while the output is shorter than min_tokens, and what
//      would break the sequence's grammar
//      -> log-softmax of this is what logprobs report
//   4. temperature; below 1e-5 the best token is taken and the rest skipped
//   5. top-k: the k best
//   6. top-p: of the distribution left, the fewest best that hold p of it
//   7. min-p: what has at least min_p of the best one's probability
//   8. one draw from what is left, in the order of ids, with noise(seed, output index)
// Top-k and top-p compare tokens by their logit's distance from the best one, and
// keep whatever ties with the last token that they keep. Of equal logits, the best
// one and the top logprobs take the lower id first.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/sampling.h"
#include "worker/engine/backend.h"

namespace weft::worker {

// What sampling knows of one sequence: its parameters, and of its tokens what the
// parameters ask for.
class SamplingState {
 public:
  SamplingState() = default;
  SamplingState(const SamplingParams& params, std::span<const TokenId> tokens,
                int num_prompt_tokens);

  void Append(TokenId token);

  const SamplingParams& params() const { return params_; }
  int num_output_tokens() const { return num_output_tokens_; }

  struct Seen {
    TokenId token;
    int in_output;
  };
  // Every token of prompt and output once; empty unless a penalty is on.
  std::span<const Seen> seen() const { return seen_; }

 private:
  void Count(TokenId token, int in_output);

  SamplingParams params_;
  bool has_penalty_ = false;
  int num_output_tokens_ = 0;
  std::vector<Seen> seen_;
  std::unordered_map<TokenId, int> place_;  // in seen_
};

// `logits` is the row up to the tokenizer's last id, and is overwritten. A NaN or
// infinity in it, or a best logit that a penalty makes infinite, gives kNonFinite and no
// token. `mask`: bit i % 32 of mask[i / 32] allows id i; empty: all are allowed.
RowResult SampleRow(const SamplingState& state, std::span<float> logits,
                    std::span<const uint32_t> mask = {});

// In [0, 1), 53 bits: a counter-based generator (Philox4x32-10) keyed by seed, so
// that a sequence continued elsewhere draws what it would have drawn here.
double SamplingNoise(uint64_t seed, uint64_t output_index);

// Philox4x32 with ten rounds (Salmon et al., 2011). Exposed for its test.
struct PhiloxBlock {
  uint32_t word[4];
};
PhiloxBlock Philox4x32(PhiloxBlock counter, uint64_t key);

}  // namespace weft::worker
