#include "worker/engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace weft::worker {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;
using ::testing::UnorderedElementsAre;

// log p of 8 tokens; 3 is the best, 7 the least.
const std::vector<double> kProbabilities = {0.12, 0.05, 0.2, 0.3, 0.08, 0.1, 0.14, 0.01};

std::vector<float> Logits(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 1.5));
  return logits;
}

TokenId SampleOne(SamplingParams params, std::vector<float> logits,
                  std::vector<TokenId> tokens = {0}, int num_prompt = 1) {
  const RowResult result = SampleRow(SamplingState(params, tokens, num_prompt), logits);
  EXPECT_EQ(result.status, RowStatus::kOk);
  return result.tokens.at(0);
}

// What the parameters leave of the distribution, worked out the plain way.
std::vector<double> Expected(const SamplingParams& p, std::vector<double> probabilities) {
  const size_t n = probabilities.size();
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  for (double& x : probabilities) x = std::pow(x, 1 / p.temperature);
  auto normalize = [&] {
    double sum = 0;
    for (double x : probabilities) sum += x;
    for (double& x : probabilities) x /= sum;
  };
  normalize();
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  // What ties with the last one kept is kept.
  double last =
      p.top_k > 0 && static_cast<size_t>(p.top_k) < n ? probabilities[order[p.top_k - 1]] : 0;
  for (double& x : probabilities) x = x >= last ? x : 0;
  normalize();
  double before = 0;
  for (size_t i : order) {
    if (before >= p.top_p) break;
    before += last = probabilities[i];
  }
  for (double& x : probabilities) x = x >= last ? x : 0;
  normalize();
  const double least = p.min_p * probabilities[order[0]];
  for (double& x : probabilities) x = x >= least ? x : 0;
  normalize();
  return probabilities;
}

// Draws with seeds 1..n; compares counts with `expected` by chi-square. The bound
// is the 1 - 1e-6 quantile (Wilson and Hilferty); seeds are fixed, so a pass stays
// a pass.
void ExpectDistribution(SamplingParams params, const std::vector<float>& logits,
                        const std::vector<double>& expected, int num_draws) {
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < num_draws; ++i) {
    params.seed = i + 1;
    ++counts[SampleOne(params, logits)];
  }
  double chi_square = 0;
  int freedom = -1;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " should have been filtered";
      continue;
    }
    const double mean = expected[i] * num_draws;
    chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
    ++freedom;
  }
  if (freedom == 0) return;
  const double v = 2.0 / (9 * freedom), z = 4.75;
  EXPECT_LT(chi_square, freedom * std::pow(1 - v + z * std::sqrt(v), 3));
}

struct FilterCase {
  const char* name;
  SamplingParams params;
  int num_left;  // tokens with any probability
};

class Filters : public ::testing::TestWithParam<FilterCase> {};

INSTANTIATE_TEST_SUITE_P(
    , Filters,
    ::testing::Values(
        FilterCase{"none", {}, 8}, FilterCase{"hot", {.temperature = 1.9}, 8},
        FilterCase{"cold", {.temperature = 0.4}, 8}, FilterCase{"top_k", {.top_k = 3}, 3},
        FilterCase{"top_k_one", {.top_k = 1}, 1}, FilterCase{"top_k_all", {.top_k = 100}, 8},
        FilterCase{"top_p", {.top_p = 0.7}, 4}, FilterCase{"top_p_tiny", {.top_p = 1e-6}, 1},
        FilterCase{"min_p", {.min_p = 0.35}, 4}, FilterCase{"min_p_one", {.min_p = 1}, 1},
        // Of the 4 best (0.76), 0.8 is 0.61: three of them.
        FilterCase{"top_p_of_top_k", {.top_k = 4, .top_p = 0.8}, 3},
        FilterCase{"min_p_of_top_p", {.top_p = 0.9, .min_p = 0.45}, 3},
        FilterCase{"all", {.temperature = 0.8, .top_k = 6, .top_p = 0.9, .min_p = 0.1}, 5}),
    [](const auto& info) { return info.param.name; });

TEST_P(Filters, DrawsFollowTheFilteredDistribution) {
  const std::vector<double> expected = Expected(GetParam().params, kProbabilities);
  int num_left = 0;
  for (double p : expected) num_left += p > 0;
  EXPECT_EQ(num_left, GetParam().num_left);
  ExpectDistribution(GetParam().params, Logits(kProbabilities), expected, 40'000);
}

// A vocabulary larger than what is sorted at first, and so flat that top-p needs
// most of it.
TEST(Sampler, TopPReachesFarIntoAFlatDistribution) {
  const uint32_t seed = 4;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::vector<double> probabilities(700);
  for (double& p : probabilities) p = 1 + random() % 100 / 100.0;
  const SamplingParams params = {.top_p = 0.9};
  const std::vector<double> expected = Expected(params, probabilities);
  ExpectDistribution(params, Logits(probabilities), expected, 20'000);
}

TEST(Sampler, TokensTiedWithTheLastOneKeptAreKept) {
  // The third best is 0.1, three times.
  const std::vector<double> probabilities = {0.1, 0.4, 0.05, 0.1, 0.25, 0.1};
  const std::vector<double> left = {0.1 / 0.95, 0.4 / 0.95, 0, 0.1 / 0.95, 0.25 / 0.95, 0.1 / 0.95};
  for (const SamplingParams& params :
       {SamplingParams{.top_k = 3}, {.top_k = 4}, {.top_p = 0.7}, {.top_k = 3, .top_p = 0.8}}) {
    EXPECT_THAT(Expected(params, probabilities), Pointwise(DoubleNear(1e-12), left));
    ExpectDistribution(params, Logits(probabilities), left, 20'000);
  }
}

// Whatever the filters, a token is drawn where the noise falls on the weights in id order.
TEST(Sampler, TheDrawWalksTheKeptTokensInIdOrder) {
  for (const SamplingParams& filters :
       {SamplingParams{}, {.top_k = 5}, {.top_p = 0.8}, {.min_p = 0.3}}) {
    const std::vector<double> left = Expected(filters, kProbabilities);
    for (uint64_t seed = 0; seed < 200; ++seed) {
      SamplingParams params = filters;
      params.seed = seed;
      double passed = 0;
      TokenId token = -1;
      while (passed <= SamplingNoise(seed, 0)) passed += left[++token];
      EXPECT_EQ(SampleOne(params, Logits(kProbabilities)), token) << "seed " << seed;
    }
  }
}

TEST(Sampler, NoiseOfConsecutiveTokensIsUniformAndIndependent) {
  constexpr int kBins = 16;
  std::vector<int> pairs(kBins * kBins, 0);
  for (uint64_t seed = 0; seed < 64; ++seed) {
    for (uint64_t i = 0; i < 1000; ++i) {
      const double a = SamplingNoise(seed, i), b = SamplingNoise(seed, i + 1);
      ASSERT_GE(a, 0);
      ASSERT_LT(a, 1);
      ++pairs[static_cast<int>(a * kBins) * kBins + static_cast<int>(b * kBins)];
    }
  }
  double chi_square = 0;
  for (int count : pairs) chi_square += (count - 250.0) * (count - 250.0) / 250;
  EXPECT_LT(chi_square, 370);  // 255 degrees of freedom, 1 - 1e-6: 372
  EXPECT_GT(chi_square, 160);
}

// The known answers of the Random123 distribution (kat_vectors).
TEST(Sampler, PhiloxGivesItsPublishedVectors) {
  const PhiloxBlock zero = Philox4x32({{0, 0, 0, 0}}, 0);
  EXPECT_THAT(zero.word, ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  const PhiloxBlock ones =
      Philox4x32({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff);
  EXPECT_THAT(ones.word, ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  const PhiloxBlock pi =
      Philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822);
  EXPECT_THAT(pi.word, ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(Sampler, ADrawDependsOnSeedAndOutputIndexOnly) {
  const auto logits = Logits(kProbabilities);
  const SamplingParams params = {.seed = 77};
  // Same output length behind prompts of different length.
  for (int output = 0; output < 20; ++output) {
    std::vector<TokenId> shorter(1 + output, 2), longer(9 + output, 5);
    EXPECT_EQ(SampleOne(params, logits, shorter, 1), SampleOne(params, logits, longer, 9));
  }
  std::map<TokenId, int> by_index, by_seed;
  for (int i = 0; i < 50; ++i) {
    ++by_index[SampleOne(params, logits, std::vector<TokenId>(1 + i, 2), 1)];
    ++by_seed[SampleOne({.seed = static_cast<uint64_t>(i)}, logits)];
  }
  EXPECT_GT(by_index.size(), 3u);
  EXPECT_GT(by_seed.size(), 3u);
}

TEST(Sampler, TemperatureZeroOrNearlySoTakesTheBestLowestIdFirst) {
  EXPECT_EQ(SampleOne({.temperature = 0}, Logits(kProbabilities)), 3);
  EXPECT_EQ(SampleOne({.temperature = 1e-30f}, Logits(kProbabilities)), 3);
  EXPECT_EQ(SampleOne({.temperature = 0}, {1, 5, 5, 5, 0}), 1);
  // Filters do not make greedy sample (0 with top_p < 1 once did elsewhere).
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(SampleOne({.temperature = 0, .top_k = 5, .top_p = 0.9, .min_p = 0.1, .seed = seed},
                        Logits(kProbabilities)),
              3);
  }
}

// Log-probabilities of every token after adjustment, by way of logprobs.
std::map<TokenId, float> Adjusted(SamplingParams params, std::vector<float> logits,
                                  const std::vector<TokenId>& tokens, int num_prompt) {
  params.num_logprobs = static_cast<int>(logits.size());
  const RowResult result = SampleRow(SamplingState(params, tokens, num_prompt), logits);
  std::map<TokenId, float> by_token;
  const TokenLogprobs& logprobs = result.logprobs.at(0);
  for (size_t i = 0; i < logprobs.top_tokens.size(); ++i) {
    by_token[logprobs.top_tokens[i]] = logprobs.top_logprobs[i];
  }
  return by_token;
}

// Differences between tokens' adjusted logits are those of their logprobs.
TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeOfPromptAndOutput) {
  // Prompt holds 0 and 1, output 2 (twice); 3 is new.
  const auto after = Adjusted({.repetition_penalty = 2}, {4, -4, 3, 0}, {0, 1, 2, 2}, 2);
  EXPECT_NEAR(after.at(0) - after.at(3), 2, 1e-5);
  EXPECT_NEAR(after.at(1) - after.at(3), -8, 1e-5);
  EXPECT_NEAR(after.at(2) - after.at(3), 1.5, 1e-5);  // once, not once an occurrence
}

TEST(Sampler, PresenceAndFrequencyPenaltiesCountOutputOnly) {
  const auto after = Adjusted({.presence_penalty = 0.5, .frequency_penalty = 0.25}, {1, 1, 1, 1},
                              {0, 0, 1, 1, 1, 2}, 2);
  EXPECT_NEAR(after.at(0) - after.at(3), 0, 1e-5);
  EXPECT_NEAR(after.at(1) - after.at(3), -1.25, 1e-5);  // three times
  EXPECT_NEAR(after.at(2) - after.at(3), -0.75, 1e-5);
  const auto negative = Adjusted({.frequency_penalty = -1}, {1, 1}, {0, 1}, 1);
  EXPECT_NEAR(negative.at(1) - negative.at(0), 1, 1e-5);
}

TEST(Sampler, PenaltiesFollowTokensAppendedLater) {
  SamplingParams params = {.temperature = 0, .frequency_penalty = 2};
  SamplingState state(params, std::vector<TokenId>{3}, 1);
  std::vector<TokenId> output;
  for (int i = 0; i < 4; ++i) {
    std::vector<float> logits = {5, 4, 3.5, 3};
    output.push_back(SampleRow(state, logits).tokens.at(0));
    state.Append(output.back());
  }
  EXPECT_THAT(output, ElementsAre(0, 1, 2, 0));  // 5; 4 over 3; 3.5 over 3; 3 (tie: lowest)
  EXPECT_EQ(state.num_output_tokens(), 4);
}

TEST(Sampler, PenaltiesComeBeforeBiasAndBiasBeforeTemperature) {
  // (4 / 2) + 1 = 3, not (4 + 1) / 2 = 2.5.
  const auto after = Adjusted({.repetition_penalty = 2, .logit_bias = {{0, 1.0f}}}, {4, 0}, {0}, 1);
  EXPECT_NEAR(after.at(0) - after.at(1), 3, 1e-5);
  // e^((0 + 2) / 0.5) to 1.
  const double p = std::exp(4) / (1 + std::exp(4));
  ExpectDistribution({.temperature = 0.5, .logit_bias = {{1, 2.0f}}}, {0, 0}, {1 - p, p}, 20'000);
}

TEST(Sampler, BiasOfAHundredDecides) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(SampleOne({.seed = seed, .logit_bias = {{7, 100.0f}}}, Logits(kProbabilities)), 7);
    EXPECT_NE(SampleOne({.seed = seed, .logit_bias = {{3, -100.0f}}}, Logits(kProbabilities)), 3);
  }
}

TEST(Sampler, StopTokensAreMaskedBeforeMinTokens) {
  const SamplingParams params = {.temperature = 0, .min_tokens = 2, .stop_token_ids = {3, 2}};
  const auto logits = Logits(kProbabilities);
  EXPECT_EQ(SampleOne(params, logits, {1}, 1), 6);     // no output yet
  EXPECT_EQ(SampleOne(params, logits, {1, 6}, 1), 6);  // one
  EXPECT_EQ(SampleOne(params, logits, {1, 6, 6}, 1), 3);
  // A vocabulary of stop tokens only: something must be said.
  SampleOne({.min_tokens = 5, .stop_token_ids = {0, 1}}, {1, 2});
}

TEST(Sampler, LogprobsAreOfTheDistributionBeforeTemperatureAndFilters) {
  SamplingParams params = {.temperature = 0.1, .top_k = 1, .num_logprobs = 3};
  auto logits = Logits(kProbabilities);
  const RowResult result = SampleRow(SamplingState(params, std::vector<TokenId>{0}, 1), logits);
  ASSERT_EQ(result.logprobs.size(), 1u);
  const TokenLogprobs& logprobs = result.logprobs[0];
  EXPECT_THAT(result.tokens, ElementsAre(3));
  EXPECT_NEAR(logprobs.logprob, std::log(0.3), 1e-5);
  EXPECT_THAT(logprobs.top_tokens, ElementsAre(3, 2, 6));
  EXPECT_THAT(logprobs.top_logprobs,
              ElementsAre(FloatNear(std::log(0.3), 1e-5), FloatNear(std::log(0.2), 1e-5),
                          FloatNear(std::log(0.14), 1e-5)));
}

TEST(Sampler, LogprobsOfZeroTellTheSampledTokenOnly) {
  auto logits = Logits(kProbabilities);
  const RowResult result = SampleRow(
      SamplingState({.temperature = 0, .num_logprobs = 0}, std::vector<TokenId>{0}, 1), logits);
  EXPECT_NEAR(result.logprobs.at(0).logprob, std::log(0.3), 1e-5);
  EXPECT_TRUE(result.logprobs[0].top_tokens.empty());
  auto again = Logits(kProbabilities);
  EXPECT_TRUE(SampleRow(SamplingState({}, std::vector<TokenId>{0}, 1), again).logprobs.empty());
}

TEST(Sampler, MaskedTokensAreNotAmongTheTopLogprobs) {
  const auto after = Adjusted({.min_tokens = 1, .stop_token_ids = {1}}, {1, 9, 2}, {0}, 1);
  std::vector<TokenId> tokens;
  for (const auto& [token, logprob] : after) tokens.push_back(token);
  EXPECT_THAT(tokens, UnorderedElementsAre(0, 2));
}

TEST(Sampler, ANonFiniteRowYieldsNoToken) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    for (size_t place : {0, 4, 7}) {
      auto logits = Logits(kProbabilities);
      logits[place] = bad;
      const RowResult result =
          SampleRow(SamplingState({.num_logprobs = 2}, std::vector<TokenId>{0}, 1), logits);
      EXPECT_EQ(result.status, RowStatus::kNonFinite);
      EXPECT_TRUE(result.tokens.empty());
      EXPECT_TRUE(result.logprobs.empty());
    }
  }
}

TEST(Sampler, ARowThatItsPenaltyMakesInfiniteYieldsNoToken) {
  std::vector<float> logits = {100, 1};
  const SamplingState state({.repetition_penalty = 1e-38f}, std::vector<TokenId>{0}, 1);
  EXPECT_EQ(SampleRow(state, logits).status, RowStatus::kNonFinite);
}

TEST(Sampler, ExtremeLogitsStillGiveATokenThatHasProbability) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_EQ(SampleOne({.temperature = 2, .seed = seed}, {-3e38f, 3e38f, 0}), 1);
    EXPECT_EQ(SampleOne({.temperature = 0.01f, .top_p = 0.99f, .seed = seed}, {0, 80, -3e38f}), 1);
  }
}

}  // namespace
}  // namespace weft::worker
