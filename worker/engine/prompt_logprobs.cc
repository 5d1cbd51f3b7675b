#include "worker/engine/prompt_logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace weft::worker {

PromptLogprobs MakePromptLogprobs(int first_position, int count, int num_top, int vocab_size) {
  PromptLogprobs made = {.first_position = first_position,
                         .num_top = std::min(num_top, vocab_size)};
  const size_t num_entries = static_cast<size_t>(count);
  const size_t num_alternatives = num_entries * static_cast<size_t>(made.num_top);
  made.logprobs.resize(num_entries);
  made.ranks.resize(num_entries);
  made.top_tokens.resize(num_alternatives);
  made.top_logprobs.resize(num_alternatives);
  return made;
}

bool FillPromptLogprob(std::span<const float> logits, TokenId token, int index,
                       PromptLogprobs& out) {
  float best = logits[0];
  bool is_finite = true;
  for (const float x : logits) {
    is_finite &= std::isfinite(x);
    best = std::max(best, x);
  }
  if (!is_finite) return false;
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - best);
  const double normalizer = best + std::log(sum);

  const float own = logits[token];
  int rank = 1;
  for (size_t id = 0; id < logits.size(); ++id) {
    rank += logits[id] > own || (logits[id] == own && id < static_cast<size_t>(token));
  }
  out.logprobs[index] = static_cast<float>(own - normalizer);
  out.ranks[index] = rank;

  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  TokenId* top = out.top_tokens.data() + int64_t{index} * out.num_top;
  std::partial_sort_copy(ids.begin(), ids.end(), top, top + out.num_top, [&](TokenId a, TokenId b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  for (int i = 0; i < out.num_top; ++i) {
    out.top_logprobs[int64_t{index} * out.num_top + i] =
        static_cast<float>(logits[top[i]] - normalizer);
  }
  return true;
}

}  // namespace weft::worker
