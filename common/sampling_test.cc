#include "common/sampling.h"

#include <cmath>
#include <limits>

#include "common/sampling_proto.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr int kVocab = 100;

SamplingParams Everything() {
  SamplingParams p;
  p.temperature = 0.6f;
  p.top_k = 20;
  p.top_p = 0.95f;
  p.min_p = 0.1f;
  p.repetition_penalty = 1.1f;
  p.presence_penalty = -0.5f;
  p.frequency_penalty = 0.25f;
  p.seed = 0xFEDCBA9876543210ull;
  p.min_tokens = 3;
  p.stop_token_ids = {7, 9};
  p.logit_bias = {{1, -100.0f}, {99, 2.5f}};
  p.num_logprobs = 5;
  p.num_prompt_logprobs = 3;
  return p;
}

TEST(SamplingParams, SurvivesTheWire) {
  for (const SamplingParams& params : {SamplingParams{}, Everything()}) {
    v1::SamplingParams proto;
    ToProto(params, proto);
    SamplingParams back;
    ASSERT_TRUE(FromProto(proto, back).ok());
    EXPECT_EQ(back, params);
  }
}

TEST(SamplingParams, ZeroLogprobsIsNotNone) {
  SamplingParams params;
  params.num_logprobs = 0;
  v1::SamplingParams proto;
  ToProto(params, proto);
  SamplingParams back;
  ASSERT_TRUE(FromProto(proto, back).ok());
  EXPECT_EQ(back.num_logprobs, 0);
  EXPECT_EQ(back.num_prompt_logprobs, std::nullopt);
}

TEST(SamplingParams, BiasWithoutValuesIsRefused) {
  v1::SamplingParams proto;
  proto.add_bias_tokens(3);
  SamplingParams back;
  EXPECT_EQ(FromProto(proto, back).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ValidateSampling, AcceptsTheDefaultsAndTheBounds) {
  EXPECT_TRUE(ValidateSampling(SamplingParams{}, kVocab).ok());
  EXPECT_TRUE(ValidateSampling(Everything(), kVocab).ok());
}

TEST(ValidateSampling, RefusesWhatWouldPoisonABatch) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  auto refused = [](auto change) {
    SamplingParams params;
    change(params);
    return ValidateSampling(params, kVocab).code() == absl::StatusCode::kInvalidArgument;
  };
  for (float bad : {nan, inf, -1.0f, 1e30f}) {
    EXPECT_TRUE(refused([&](SamplingParams& p) { p.temperature = bad; })) << bad;
    EXPECT_TRUE(refused([&](SamplingParams& p) { p.min_p = bad; })) << bad;
    EXPECT_TRUE(refused([&](SamplingParams& p) { p.top_p = bad; })) << bad;
  }
  EXPECT_TRUE(refused([](SamplingParams& p) { p.top_p = 0; }));
  EXPECT_TRUE(refused([&](SamplingParams& p) { p.repetition_penalty = nan; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.repetition_penalty = 0; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.top_k = -2; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.stop_token_ids = {kVocab}; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.stop_token_ids = {-1}; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.logit_bias = {{kVocab, 1.0f}}; }));
  EXPECT_TRUE(refused([&](SamplingParams& p) { p.logit_bias = {{1, nan}}; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.logit_bias = {{5, 1.0f}, {6, 1.0f}, {5, 2.0f}}; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.num_logprobs = 21; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.num_prompt_logprobs = 21; }));
  EXPECT_TRUE(refused([](SamplingParams& p) { p.presence_penalty = 2.1f; }));
}

}  // namespace
}  // namespace weft
