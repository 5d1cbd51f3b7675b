// How one sequence samples: effective values, every default resolved by the
// gateway. The scheduler reads only what ends a sequence and hands the rest on.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/grammar.h"

namespace weft {

using TokenId = int32_t;

// Bounds that every tier agrees on; the gateway turns them into a 400.
inline constexpr int kMaxLogprobs = 20;
inline constexpr int kMaxLogitBias = 1024;
inline constexpr int kMaxStopTokens = 64;

struct SamplingParams {
  float temperature = 1;                // 0: greedy
  int top_k = 0;                        // 0: off
  float top_p = 1;                      // (0, 1]
  float min_p = 0;                      // [0, 1]
  float repetition_penalty = 1;         // > 0; over prompt and output (CTRL paper, HF)
  float presence_penalty = 0;           // [-2, 2]; over output only (OpenAI)
  float frequency_penalty = 0;          // [-2, 2]; over output only (OpenAI)
  uint64_t seed = 0;                    // noise is a function of (seed, output index)
  int min_tokens = 0;                   // stop tokens are masked before that many
  std::vector<TokenId> stop_token_ids;  // end-of-text included
  // Added to the logits, [-100, 100]; an id has at most one.
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::optional<int> num_logprobs;         // 0: the sampled token's only; k: the top k too
  std::optional<int> num_prompt_logprobs;  // likewise, of every prompt token
  std::optional<Grammar> grammar;

  bool operator==(const SamplingParams&) const = default;
};

// What a peer sends is checked again where it enters a tier: finite, in the
// ranges above, every id in [0, vocab_size). InvalidArgument says which is not.
absl::Status ValidateSampling(const SamplingParams& params, int vocab_size);

}  // namespace weft
