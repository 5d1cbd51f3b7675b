#include "common/sampling.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

absl::Status CheckRange(const char* name, float value, float low, float high) {
  if (std::isfinite(value) && value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be between ", low, " and ", high, ", not ", value));
}

absl::Status CheckToken(const char* name, TokenId id, int vocab_size) {
  if (id >= 0 && id < vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " holds ", id, "; the model's ids are 0 to ", vocab_size - 1));
}

}  // namespace

absl::Status ValidateSampling(const SamplingParams& p, int vocab_size) {
  struct Range {
    const char* name;
    float value, low, high;
  };
  for (const Range& r : {Range{"temperature", p.temperature, 0, 2}, Range{"min_p", p.min_p, 0, 1},
                         Range{"presence_penalty", p.presence_penalty, -2, 2},
                         Range{"frequency_penalty", p.frequency_penalty, -2, 2}}) {
    if (auto s = CheckRange(r.name, r.value, r.low, r.high); !s.ok()) return s;
  }
  if (!(p.top_p > 0 && p.top_p <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_p must be above 0 and at most 1, not ", p.top_p));
  }
  if (!(std::isfinite(p.repetition_penalty) && p.repetition_penalty > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("repetition_penalty must be above 0, not ", p.repetition_penalty));
  }
  if (p.top_k < 0) return absl::InvalidArgumentError("top_k must be 0 (off) or more");
  if (p.min_tokens < 0) return absl::InvalidArgumentError("min_tokens must be 0 or more");
  if (p.num_logprobs && (*p.num_logprobs < 0 || *p.num_logprobs > kMaxLogprobs)) {
    return absl::InvalidArgumentError(
        absl::StrCat("logprobs must be between 0 and ", kMaxLogprobs));
  }
  if (p.num_prompt_logprobs &&
      (*p.num_prompt_logprobs < 0 || *p.num_prompt_logprobs > kMaxLogprobs)) {
    return absl::InvalidArgumentError(
        absl::StrCat("prompt_logprobs must be between 0 and ", kMaxLogprobs));
  }
  if (p.grammar && p.grammar->text.size() > kMaxGrammarBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the grammar takes ", p.grammar->text.size(),
                                                   " bytes; at most ", kMaxGrammarBytes));
  }
  if (p.grammar && p.grammar->after_token) {
    if (auto s = CheckToken("grammar.after_token", *p.grammar->after_token, vocab_size); !s.ok()) {
      return s;
    }
  }
  if (p.stop_token_ids.size() > kMaxStopTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop_token_ids may hold at most ", kMaxStopTokens, " ids"));
  }
  if (p.logit_bias.size() > kMaxLogitBias) {
    return absl::InvalidArgumentError(
        absl::StrCat("logit_bias may hold at most ", kMaxLogitBias, " ids"));
  }
  for (TokenId id : p.stop_token_ids) {
    if (auto s = CheckToken("stop_token_ids", id, vocab_size); !s.ok()) return s;
  }
  std::vector<TokenId> biased;
  for (const auto& [id, value] : p.logit_bias) {
    if (auto s = CheckToken("logit_bias", id, vocab_size); !s.ok()) return s;
    if (auto s = CheckRange("logit_bias", value, -100, 100); !s.ok()) return s;
    biased.push_back(id);
  }
  std::sort(biased.begin(), biased.end());
  if (const auto twice = std::adjacent_find(biased.begin(), biased.end()); twice != biased.end()) {
    return absl::InvalidArgumentError(absl::StrCat("logit_bias holds ", *twice, " twice"));
  }
  return absl::OkStatus();
}

}  // namespace weft
