#include "gateway/inference/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ModelLimits kLimits{.max_context_tokens = 100, .kv_tokens = 1000, .vocab_size = 50};

ModelDefaults Defaults() { return {.generation = {}, .eos_token_ids = {7, 8}}; }

absl::StatusOr<ResolvedOptions> Resolve(const GenerationOptions& options, bool is_chat = true,
                                        const ModelDefaults& model = Defaults()) {
  return ResolveOptions(options, is_chat, model, kLimits, /*max_n=*/8);
}

std::string Payload(const absl::Status& status, const char* name) {
  return std::string(status.GetPayload(name).value_or(absl::Cord()));
}

TEST(Validate, EveryFieldOutOfRangeIsRefusedByName) {
  using O = GenerationOptions;
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  struct Case {
    std::string field;
    std::function<void(O&)> set;
  };
  const std::vector<Case> cases = {
      {"n", [](O& o) { o.n = 0; }},
      {"n", [](O& o) { o.n = -1; }},
      {"n", [](O& o) { o.n = int64_t{1} << 31; }},
      {"n", [](O& o) { o.n = 9; }},
      {"max_tokens", [](O& o) { o.max_tokens = 0; }},
      {"max_tokens", [](O& o) { o.max_tokens = -1; }},
      {"temperature", [](O& o) { o.temperature = -1; }},
      {"temperature", [](O& o) { o.temperature = 1e30; }},
      {"temperature", [=](O& o) { o.temperature = nan; }},
      {"top_p", [](O& o) { o.top_p = 0; }},
      {"top_p", [](O& o) { o.top_p = 2; }},
      {"top_p", [=](O& o) { o.top_p = nan; }},
      {"top_k", [](O& o) { o.top_k = -2; }},
      {"min_p", [](O& o) { o.min_p = 1.1; }},
      {"repetition_penalty", [](O& o) { o.repetition_penalty = 0; }},
      {"repetition_penalty", [](O& o) { o.repetition_penalty = 1e-300; }},
      {"repetition_penalty", [=](O& o) { o.repetition_penalty = inf; }},
      {"presence_penalty", [](O& o) { o.presence_penalty = 2.1; }},
      {"frequency_penalty", [](O& o) { o.frequency_penalty = -2.1; }},
      {"logit_bias",
       [](O& o) {
         o.logit_bias = {{-1, 1}};
       }},
      {"logit_bias",
       [](O& o) {
         o.logit_bias = {{50, 1}};
       }},
      {"logit_bias",
       [](O& o) {
         o.logit_bias = {{1, 1e9}};
       }},
      {"logit_bias",
       [=](O& o) {
         o.logit_bias = {{1, nan}};
       }},
      {"logit_bias",
       [](O& o) {
         o.logit_bias.assign(100000, {1, 1});
       }},
      {"stop", [](O& o) { o.stop = {""}; }},
      {"stop", [](O& o) { o.stop.assign(1000, "x"); }},
      {"stop", [](O& o) { o.stop = {std::string(1 << 20, 'x')}; }},
      {"stop_token_ids", [](O& o) { o.stop_token_ids = {-1}; }},
      {"stop_token_ids", [](O& o) { o.stop_token_ids = {50}; }},
      {"stop_token_ids", [](O& o) { o.stop_token_ids.assign(65, 1); }},
      {"logprobs", [](O& o) { o.logprobs = -1; }},
      {"logprobs", [](O& o) { o.logprobs = 1000000; }},
      {"prompt_logprobs", [](O& o) { o.prompt_logprobs = -1; }},
      {"prompt_logprobs", [](O& o) { o.prompt_logprobs = 21; }},
      {"min_tokens", [](O& o) { o.min_tokens = -1; }},
      {"priority", [](O& o) { o.priority = int64_t{1} << 40; }},
      {"n", [](O& o) { o.n = 2, o.temperature = 0; }},
  };
  for (const Case& c : cases) {
    GenerationOptions options;
    c.set(options);
    const absl::Status status = Resolve(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field;
    EXPECT_EQ(Payload(status, kParamPayload), c.field);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.field));
  }
}

TEST(Validate, TheEdgesOfEveryRangeAreIn) {
  GenerationOptions low;
  low.temperature = 0;
  low.top_p = 1e-300;
  low.top_k = -1;
  low.min_p = 0;
  low.repetition_penalty = 0.1;
  low.presence_penalty = low.frequency_penalty = -2;
  low.logit_bias = {{0, -100}};
  low.logprobs = 0;
  low.prompt_logprobs = 0;
  low.min_tokens = 0;
  low.seed = std::numeric_limits<int64_t>::min();
  GenerationOptions high;
  high.temperature = 2;
  high.top_p = 1;
  high.top_k = std::numeric_limits<int64_t>::max();
  high.min_p = 1;
  high.repetition_penalty = 100;
  high.presence_penalty = high.frequency_penalty = 2;
  high.logit_bias = {{49, 100}};
  high.logprobs = 20;
  high.prompt_logprobs = 20;
  high.n = 8;
  high.stop.assign(kMaxStopStrings, std::string(1024, 'x'));
  for (const auto& options : {low, high}) {
    const auto resolved = Resolve(options);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_TRUE(ValidateSampling(resolved->sampling, kLimits.vocab_size).ok())
        << ValidateSampling(resolved->sampling, kLimits.vocab_size);
  }
}

TEST(Validate, AbsentFieldsTakeTheModelsThenOpenAisDefaults) {
  const auto plain = Resolve({});
  EXPECT_EQ(plain->sampling.temperature, 1);
  EXPECT_EQ(plain->sampling.top_p, 1);
  EXPECT_EQ(plain->sampling.top_k, 0);
  EXPECT_EQ(plain->sampling.repetition_penalty, 1);

  ModelDefaults model = Defaults();
  model.generation = {.temperature = 0.7f, .top_k = 20, .top_p = 0.8f, .repetition_penalty = 1.1f};
  const auto qwen = Resolve({}, true, model);
  EXPECT_EQ(qwen->sampling.temperature, 0.7f);
  EXPECT_EQ(qwen->sampling.top_k, 20);
  EXPECT_EQ(qwen->sampling.top_p, 0.8f);
  EXPECT_EQ(qwen->sampling.repetition_penalty, 1.1f);

  GenerationOptions own;
  own.temperature = 1.5;
  EXPECT_EQ(Resolve(own, true, model)->sampling.temperature, 1.5f);
}

TEST(Validate, DoSampleFalseMeansGreedyUnlessTheClientGivesATemperature) {
  ModelDefaults model = Defaults();
  model.generation.do_sample = false;
  EXPECT_EQ(Resolve({}, true, model)->sampling.temperature, 0);
  GenerationOptions own;
  own.temperature = 0.5;
  EXPECT_EQ(Resolve(own, true, model)->sampling.temperature, 0.5f);
}

TEST(Validate, TinyTemperaturesAreGreedyAndSmallOnesRoundUp) {
  GenerationOptions options;
  options.temperature = 1e-30;
  EXPECT_EQ(Resolve(options)->sampling.temperature, 0);
  options.temperature = 0.001;
  EXPECT_EQ(Resolve(options)->sampling.temperature, 0.01f);
}

TEST(Validate, EndOfTextIdsAreStopsUnlessIgnored) {
  GenerationOptions options;
  options.stop_token_ids = {8, 9};
  EXPECT_THAT(Resolve(options)->sampling.stop_token_ids, ElementsAre(7, 8, 9));
  options.ignore_eos = true;
  EXPECT_THAT(Resolve(options)->sampling.stop_token_ids, ElementsAre(8, 9));
}

TEST(Validate, AbsentSeedsDiffer) {
  EXPECT_NE(Resolve({})->sampling.seed, Resolve({})->sampling.seed);
}

TEST(Validate, ChoicesHaveSeedsOfTheirOwnTheFirstTheRequests) {
  EXPECT_EQ(ChoiceSeed(5, 0), 5u);
  EXPECT_NE(ChoiceSeed(5, 1), ChoiceSeed(5, 2));
  EXPECT_NE(ChoiceSeed(5, 1), ChoiceSeed(6, 1));
  EXPECT_EQ(ChoiceSeed(5, 1), ChoiceSeed(5, 1));
}

TEST(Validate, LengthDefaultsToTheRestForChatAndSixteenForCompletions) {
  EXPECT_EQ(*FitLength(*Resolve({}, true), 10, kLimits), 90);
  EXPECT_EQ(*FitLength(*Resolve({}, false), 10, kLimits), 16);
  EXPECT_EQ(*FitLength(*Resolve({}, false), 95, kLimits), 5);
  ModelDefaults model = Defaults();
  model.generation.max_new_tokens = 20;
  EXPECT_EQ(*FitLength(*Resolve({}, true, model), 10, kLimits), 20);
}

TEST(Validate, WhatDoesNotFitTheContextIsRefusedWithItsCode) {
  const absl::Status prompt = FitLength(*Resolve({}), 100, kLimits).status();
  EXPECT_EQ(Payload(prompt, kCodePayload), "context_length_exceeded");
  EXPECT_EQ(Payload(prompt, kParamPayload), "messages");
  EXPECT_THAT(std::string(prompt.message()),
              HasSubstr("This model's maximum context length is 100 tokens. However, your prompt "
                        "has 100 tokens"));
  EXPECT_EQ(*FitLength(*Resolve({}), 99, kLimits), 1);

  GenerationOptions options;
  options.max_tokens = 91;
  const absl::Status both = FitLength(*Resolve(options), 10, kLimits).status();
  EXPECT_EQ(Payload(both, kCodePayload), "context_length_exceeded");
  EXPECT_EQ(Payload(both, kParamPayload), "max_tokens");
  options.max_tokens = int64_t{1} << 62;
  EXPECT_EQ(Payload(FitLength(*Resolve(options), 10, kLimits).status(), kCodePayload),
            "context_length_exceeded");
  options.max_tokens = 90;
  EXPECT_EQ(*FitLength(*Resolve(options), 10, kLimits), 90);
}

TEST(Validate, WhatTheKvCacheCannotHoldIsRefused) {
  ModelLimits limits = kLimits;
  limits.kv_tokens = 48;
  const absl::Status status = FitLength(*Resolve({}), 48, limits).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("KV cache holds 48"));
  EXPECT_EQ(*FitLength(*Resolve({}), 40, limits), 8);
  EXPECT_FALSE(CheckPromptLength(48, true, limits).ok());
  EXPECT_TRUE(CheckPromptLength(47, true, limits).ok());
}

TEST(Validate, MinTokensMustBeWithinReach) {
  GenerationOptions options;
  options.min_tokens = 20;
  EXPECT_EQ(Payload(FitLength(*Resolve(options, false), 10, kLimits).status(), kParamPayload),
            "min_tokens");
  options.max_tokens = 20;
  EXPECT_EQ(*FitLength(*Resolve(options, false), 10, kLimits), 20);
}

TEST(Validate, ChatsNeedMessagesWithKnownRoles) {
  EXPECT_FALSE(ValidateChat({}).ok());
  ChatPrompt prompt{.messages = {{.role = "user"}, {.role = "root"}}};
  EXPECT_EQ(Payload(ValidateChat(prompt), kParamPayload), "messages[1].role");
  prompt.messages[1].role = "tool";
  EXPECT_TRUE(ValidateChat(prompt).ok());
  prompt.render.continue_final_message = true;
  EXPECT_EQ(Payload(ValidateChat(prompt), kParamPayload), "continue_final_message");
}

TEST(Validate, ToolsAreBoundedInNumberAndSize) {
  ChatPrompt prompt{.messages = {{.role = "user"}}};
  prompt.tools.tools.assign(kMaxTools, {.definition = std::string(2048, 'x')});
  for (size_t i = 0; i < kMaxTools; ++i) prompt.tools.tools[i].name = absl::StrCat("f", i);
  EXPECT_TRUE(ValidateChat(prompt).ok());  // exactly kMaxToolsBytes
  prompt.tools.tools[0].definition += 'x';
  EXPECT_EQ(Payload(ValidateChat(prompt), kParamPayload), "tools");
  EXPECT_THAT(std::string(ValidateChat(prompt).message()), HasSubstr("262145"));
  prompt.tools.tools.assign(kMaxTools + 1, {.name = "f"});
  EXPECT_EQ(Payload(ValidateChat(prompt), kParamPayload), "tools");
  EXPECT_THAT(std::string(ValidateChat(prompt).message()), HasSubstr("at most 128"));
}

TEST(Validate, TokenPromptsHoldTheModelsIds) {
  EXPECT_TRUE(ValidateTokens({0, 49}, kLimits).ok());
  EXPECT_FALSE(ValidateTokens({}, kLimits).ok());
  EXPECT_FALSE(ValidateTokens({-1}, kLimits).ok());
  EXPECT_FALSE(ValidateTokens({50}, kLimits).ok());
}

}  // namespace
}  // namespace weft::gateway
