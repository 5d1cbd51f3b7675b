#include "worker/engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace weft::worker {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr float kGreedyBelow = 1e-5f;

bool AllFinite(std::span<const float> logits) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (float x : logits) bad |= (std::bit_cast<uint32_t>(x) & kExponent) == kExponent;
  return bad == 0;
}

void ApplyMask(std::span<const uint32_t> mask, std::span<float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(mask[i / 32] >> i % 32 & 1)) logits[i] = kMasked;
  }
}

void Adjust(const SamplingState& state, std::span<const uint32_t> mask, std::span<float> logits) {
  const SamplingParams& p = state.params();
  for (const auto& [token, in_output] : state.seen()) {
    float& x = logits[token];
    x = x > 0 ? x / p.repetition_penalty : x * p.repetition_penalty;
    if (in_output > 0) {
      x -= p.frequency_penalty * static_cast<float>(in_output) + p.presence_penalty;
    }
  }
  for (const auto& [token, bias] : p.logit_bias) logits[token] += bias;
  // With every id a stop token there is nothing else to say.
  if (state.num_output_tokens() < p.min_tokens && p.stop_token_ids.size() < logits.size()) {
    for (TokenId token : p.stop_token_ids) logits[token] = kMasked;
  }
  if (!mask.empty()) ApplyMask(mask, logits);
}

TokenId Best(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Ids in order of preference.
struct Better {
  std::span<const float> logits;
  bool operator()(TokenId a, TokenId b) const {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  }
};

// The `count` best ids in order; fewer if the row is shorter.
std::vector<TokenId> BestIds(std::span<const float> logits, size_t count) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  count = std::min(count, ids.size());
  std::nth_element(ids.begin(), ids.begin() + count, ids.end(), Better{logits});
  ids.resize(count);
  std::sort(ids.begin(), ids.end(), Better{logits});
  return ids;
}

TokenLogprobs LogprobsOf(std::span<const float> logits, TokenId token, int num_top) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float x : logits) sum += std::exp(x - best);
  const double normalizer = best + std::log(sum);
  TokenLogprobs result;
  result.logprob = static_cast<float>(logits[token] - normalizer);
  if (num_top == 0) return result;
  for (TokenId id : BestIds(logits, num_top)) {
    if (logits[id] == kMasked) break;
    result.top_tokens.push_back(id);
    result.top_logprobs.push_back(static_cast<float>(logits[id] - normalizer));
  }
  return result;
}

// A token by its logit's distance from the best: 0 is the best, infinity is masked.
struct Scale {
  float inverse_temperature;
  // The probability up to a common factor; the best one's is 1.
  float Weight(float distance) const { return std::exp(-distance * inverse_temperature); }
};

// The distance of the last token that top-k keeps.
float TopKCut(std::vector<float> distances, int top_k) {
  const auto last = distances.begin() + (top_k - 1);
  std::nth_element(distances.begin(), last, distances.end());
  return *last;
}

// The distance of the last token that top-p keeps of these.
float TopPCut(std::vector<float> distances, float top_p, const Scale& scale) {
  // Most of the distribution is in few tokens: sort some, and more only if p of it
  // is not among them.
  constexpr size_t kFirst = 256, kGrowth = 16;
  double total = 0;
  for (float d : distances) total += scale.Weight(d);
  double mass = 0;
  size_t num_sorted = 0;
  for (size_t i = 0; i < distances.size(); ++i) {
    if (i == num_sorted) {
      const auto first = distances.begin() + num_sorted;
      num_sorted = std::min(distances.size(), std::max(kFirst, num_sorted * kGrowth));
      const auto last = distances.begin() + num_sorted;
      std::nth_element(first, last, distances.end());
      std::sort(first, last);
    }
    mass += scale.Weight(distances[i]);
    if (mass >= top_p * total) return distances[i];
  }
  return distances.back();
}

// The distance beyond which top-k, then top-p drop a token.
float Cut(const SamplingParams& p, std::span<const float> distances, const Scale& scale) {
  float cut = std::numeric_limits<float>::infinity();
  std::vector<float> left(distances.begin(), distances.end());
  if (p.top_k > 0 && static_cast<size_t>(p.top_k) < left.size()) {
    cut = TopKCut(left, p.top_k);
    std::erase_if(left, [&](float d) { return d > cut; });
  }
  if (p.top_p < 1) cut = TopPCut(std::move(left), p.top_p, scale);
  return cut;
}

// The token at `noise` of the way through the weights.
TokenId Draw(std::span<const float> weights, double noise) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double target = noise * total;
  double passed = 0;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    passed += weights[i];
    last = i;
    if (passed > target) break;
  }
  return static_cast<TokenId>(last);
}

TokenId Sample(const SamplingState& state, std::span<float> logits) {
  const SamplingParams& p = state.params();
  if (p.temperature < kGreedyBelow) return Best(logits);
  const Scale scale = {.inverse_temperature = 1 / p.temperature};
  const float best = *std::max_element(logits.begin(), logits.end());
  for (float& x : logits) x = best - x;
  const float cut =
      p.top_k > 0 || p.top_p < 1 ? Cut(p, logits, scale) : std::numeric_limits<float>::infinity();
  for (float& x : logits) {
    const float weight = x <= cut ? scale.Weight(x) : 0.0f;
    x = weight >= p.min_p ? weight : 0.0f;
  }
  return Draw(logits, SamplingNoise(p.seed, state.num_output_tokens()));
}

}  // namespace

SamplingState::SamplingState(const SamplingParams& params, std::span<const TokenId> tokens,
                             int num_prompt_tokens)
    : params_(params),
      has_penalty_(params.repetition_penalty != 1 || params.presence_penalty != 0 ||
                   params.frequency_penalty != 0),
      num_output_tokens_(static_cast<int>(tokens.size()) - num_prompt_tokens) {
  if (!has_penalty_) return;
  for (size_t i = 0; i < tokens.size(); ++i) {
    Count(tokens[i], static_cast<int>(i) >= num_prompt_tokens ? 1 : 0);
  }
}

void SamplingState::Append(TokenId token) {
  ++num_output_tokens_;
  if (has_penalty_) Count(token, 1);
}

void SamplingState::Count(TokenId token, int in_output) {
  const auto [place, is_new] = place_.emplace(token, static_cast<int>(seen_.size()));
  if (is_new) {
    seen_.push_back({token, in_output});
  } else {
    seen_[place->second].in_output += in_output;
  }
}

RowResult SampleRow(const SamplingState& state, std::span<float> logits,
                    std::span<const uint32_t> mask) {
  if (!AllFinite(logits)) return NonFiniteRow();
  Adjust(state, mask, logits);
  // A penalty of next to nothing can make it infinite.
  if (!std::isfinite(*std::max_element(logits.begin(), logits.end()))) {
    return NonFiniteRow();
  }
  RowResult result;
  if (!state.params().num_logprobs) {
    result.tokens = {Sample(state, logits)};
    return result;
  }
  // Sampling overwrites the row that the logprobs are of.
  std::vector<float> adjusted(logits.begin(), logits.end());
  result.tokens = {Sample(state, logits)};
  result.logprobs = {LogprobsOf(adjusted, result.tokens[0], *state.params().num_logprobs)};
  return result;
}

PhiloxBlock Philox4x32(PhiloxBlock c, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c.word[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<uint32_t>(b >> 32) ^ c.word[1] ^ k0, static_cast<uint32_t>(b),
          static_cast<uint32_t>(a >> 32) ^ c.word[3] ^ k1, static_cast<uint32_t>(a)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

double SamplingNoise(uint64_t seed, uint64_t output_index) {
  const PhiloxBlock counter = {
      {static_cast<uint32_t>(output_index), static_cast<uint32_t>(output_index >> 32), 0, 0}};
  const PhiloxBlock random = Philox4x32(counter, seed);
  const uint64_t bits = uint64_t{random.word[0]} << 32 | random.word[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace weft::worker
