#include "gateway/inference/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "text/test_models.h"

namespace weft::gateway {
namespace {

using text::TokenId;

// TinyModel's ids: bytes, then "Ġt" … "hello" = 262, then the added tokens.
constexpr TokenId kHello = 262;
constexpr TokenId kEos = 264;
constexpr TokenId kUser = 265;
constexpr TokenId kThink = 267;
constexpr TokenId kEndThink = 268;

struct Output {
  std::string content, reasoning;
  std::vector<TokenLogprob> logprobs;
  std::vector<TokenId> token_ids;
  int num_tokens = 0;
  int num_counted = 0;
  int num_reasoning = 0;
  ChoiceFinished finished;
  std::vector<Delta> deltas;
};

class ChoiceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = new text::TinyModel;
    tokenizer_ =
        new std::shared_ptr<const text::Tokenizer>(text::Tokenizer::Load(model_->dir()).value());
  }
  static void TearDownTestSuite() {
    delete tokenizer_;
    delete model_;
  }

  static std::vector<TokenId> Ids(std::string_view text) {
    std::vector<TokenId> ids;
    for (char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  static std::vector<TokenId> Concat(std::initializer_list<std::vector<TokenId>> parts) {
    std::vector<TokenId> ids;
    for (const auto& part : parts) ids.insert(ids.end(), part.begin(), part.end());
    return ids;
  }

  static ChoiceOptions Plain() { return {.eos_token_ids = {kEos}}; }
  static ChoiceOptions Reasoning(bool starts) {
    ChoiceOptions options = Plain();
    options.split_reasoning = ReasoningTags{.open = kThink, .close = kEndThink};
    options.starts_in_reasoning = starts;
    return options;
  }

  // `cuts(n)`: how many tokens the next delta takes.
  template <typename Cuts>
  static Output Run(ChoiceOptions options, const std::vector<TokenId>& ids, Cuts cuts,
                    FinishReason reason = FinishReason::kLength) {
    Choice choice(std::move(options), *tokenizer_);
    Output output;
    for (size_t at = 0; at < ids.size() && !choice.stopped();) {
      Delta delta;
      for (size_t end = std::min(ids.size(), at + cuts()); at < end; ++at) {
        TokenLogprob logprob;
        logprob.token = {.id = ids[at], .token = std::string((*tokenizer_)->TokenBytes(ids[at]))};
        choice.Push(ids[at], std::move(logprob), delta);
      }
      output.deltas.push_back(std::move(delta));
    }
    Delta last;
    output.finished = choice.Finish(reason, last);
    output.deltas.push_back(std::move(last));
    for (const Delta& delta : output.deltas) {
      output.content += delta.content;
      output.reasoning += delta.reasoning;
      output.num_tokens += delta.num_tokens;
      output.logprobs.insert(output.logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
      output.token_ids.insert(output.token_ids.end(), delta.token_ids.begin(),
                              delta.token_ids.end());
    }
    output.num_counted = choice.num_tokens();
    output.num_reasoning = choice.num_reasoning_tokens();
    return output;
  }
  static Output Run(ChoiceOptions options, const std::vector<TokenId>& ids,
                    FinishReason reason = FinishReason::kLength) {
    return Run(
        std::move(options), ids, [] { return size_t{1}; }, reason);
  }

  static text::TinyModel* model_;
  static std::shared_ptr<const text::Tokenizer>* tokenizer_;
};
text::TinyModel* ChoiceTest::model_ = nullptr;
std::shared_ptr<const text::Tokenizer>* ChoiceTest::tokenizer_ = nullptr;

// ---- ends ----

TEST_F(ChoiceTest, EndOfTextHasNoTextButCounts) {
  const Output out = Run(Plain(), Concat({Ids("hi"), {kEos}}), FinishReason::kStop);
  EXPECT_EQ(out.content, "hi");
  EXPECT_EQ(out.finished.reason, FinishReason::kStop);
  EXPECT_EQ(out.finished.stop_token, -1);
  EXPECT_EQ(out.num_counted, 3);
  EXPECT_EQ(out.num_tokens, 2);
  EXPECT_EQ(out.logprobs.size(), 2u);
}

TEST_F(ChoiceTest, TokenIdsAreThoseThatUsageCounts) {
  ChoiceOptions options = Plain();
  options.return_token_ids = true;
  const auto with_end = Concat({Ids("hi"), {kEos}});
  EXPECT_EQ(Run(options, with_end, FinishReason::kStop).token_ids, with_end);

  options.stop = {"lo w"};
  const Output stopped = Run(options, Ids("hello world"));
  EXPECT_EQ(stopped.content, "hel");
  EXPECT_EQ(stopped.token_ids, Ids("hello w"));
  EXPECT_EQ(stopped.num_counted, 7);

  EXPECT_TRUE(Run(Plain(), Ids("hi")).token_ids.empty()) << "nobody has asked";
}

TEST_F(ChoiceTest, AClientsStopTokenIsNamed) {
  ChoiceOptions options = Plain();
  options.stop_token_ids = {'!'};
  const Output out = Run(options, Ids("hi!"), FinishReason::kStop);
  EXPECT_EQ(out.content, "hi");
  EXPECT_EQ(out.finished.stop_token, '!');
  options.include_stop = true;
  EXPECT_EQ(Run(options, Ids("hi!"), FinishReason::kStop).content, "hi!");
}

TEST_F(ChoiceTest, EndOfTextStaysUnnamedThoughTheClientListsIt) {
  ChoiceOptions options = Plain();
  options.stop_token_ids = {kEos};
  EXPECT_EQ(Run(options, {kEos}, FinishReason::kStop).finished.stop_token, -1);
}

TEST_F(ChoiceTest, IgnoredEndOfTextIsAnyToken) {
  ChoiceOptions options;  // ignore_eos: no ids end it
  options.skip_special = false;
  const Output out = Run(options, Concat({{kEos}, Ids("a")}));
  EXPECT_EQ(out.content, "<eos>a");
  EXPECT_EQ(out.finished.reason, FinishReason::kLength);
}

TEST_F(ChoiceTest, SpecialTokensAreSkippedUnlessAskedFor) {
  ChoiceOptions options;
  EXPECT_EQ(Run(options, Concat({Ids("a"), {kEos, kUser}, Ids("b")})).content, "a<|user|>b");
}

TEST_F(ChoiceTest, HalfACharacterWaitsAndComesOutAsReplacementAtTheEnd) {
  const Output whole = Run(Plain(), {0xe2, 0x82, 0xac});
  EXPECT_EQ(whole.content, "€");
  EXPECT_EQ(whole.deltas[0].content, "");
  EXPECT_EQ(whole.deltas[1].content, "");
  EXPECT_EQ(whole.num_tokens, 3);
  EXPECT_EQ(Run(Plain(), Concat({Ids("a"), {0xe2, 0x82}})).content, "a\uFFFD");
}

// ---- stop strings ----

TEST_F(ChoiceTest, AStopInsideATokenCutsTheToken) {
  ChoiceOptions options = Plain();
  options.stop = {"ell"};
  const Output out = Run(options, Concat({Ids("a "), {kHello}, Ids("bc")}));
  EXPECT_EQ(out.content, "a h");
  EXPECT_EQ(out.finished.reason, FinishReason::kStop);
  EXPECT_EQ(out.finished.stop_string, "ell");
  EXPECT_EQ(out.num_counted, 3);
  EXPECT_EQ(out.logprobs.size(), 3u);
}

TEST_F(ChoiceTest, AStopIsKeptWhenAskedForAndWhatFollowsIsNot) {
  ChoiceOptions options = Plain();
  options.stop = {"ell"};
  options.include_stop = true;
  EXPECT_EQ(Run(options, {'a', kHello, 'b'}).content, "ahell");
}

TEST_F(ChoiceTest, TokensWhollyWithinTheStopHaveNoLogprobs) {
  ChoiceOptions options = Plain();
  options.stop = {"END"};
  const Output out = Run(options, Ids("abEND"));
  EXPECT_EQ(out.content, "ab");
  EXPECT_EQ(out.logprobs.size(), 2u);
  EXPECT_EQ(out.num_tokens, 2);
  EXPECT_EQ(out.num_counted, 5);
}

TEST_F(ChoiceTest, WhatOnlyLookedLikeAStopComesOutAtTheEnd) {
  ChoiceOptions options = Plain();
  options.stop = {"END"};
  const Output out = Run(options, Concat({Ids("abEN"), {kEos}}), FinishReason::kStop);
  EXPECT_EQ(out.content, "abEN");
  EXPECT_EQ(out.finished.stop_string, "");
  EXPECT_EQ(out.num_tokens, 4);
}

TEST_F(ChoiceTest, NoStopCountsBeforeMinTokens) {
  ChoiceOptions options = Plain();
  options.stop = {"a"};
  options.min_tokens = 3;
  const Output out = Run(options, Ids("aaaaa"));
  EXPECT_EQ(out.content, "aaa");
  EXPECT_EQ(out.num_counted, 4);
}

// ---- reasoning ----

TEST_F(ChoiceTest, ReasoningTheOpenedPromptGoesOnUntilItCloses) {
  const Output out =
      Run(Reasoning(true), Concat({Ids("\nhm\n\nso\n"), {kEndThink}, Ids("\n\n4\n2\n"), {kEos}}));
  EXPECT_EQ(out.reasoning, "hm\n\nso");
  EXPECT_EQ(out.content, "4\n2\n");
  EXPECT_EQ(out.num_reasoning, 8);
}

TEST_F(ChoiceTest, AnAnswerCutOffWhileReasoningIsAllReasoning) {
  const Output out = Run(Reasoning(true), Ids("hm\n"));
  EXPECT_EQ(out.reasoning, "hm\n");
  EXPECT_EQ(out.content, "");
}

TEST_F(ChoiceTest, TheModelMayOpenReasoningItselfBehindWhiteSpace) {
  const Output out =
      Run(Reasoning(false), Concat({Ids(" \n"), {kThink}, Ids("\nhm"), {kEndThink}, Ids("42")}));
  EXPECT_EQ(out.reasoning, "hm");
  EXPECT_EQ(out.content, "42");
  EXPECT_EQ(out.num_reasoning, 3);
}

TEST_F(ChoiceTest, TagsThatChangeNothingAreText) {
  EXPECT_EQ(Run(Reasoning(false), Concat({Ids("a"), {kThink, kEndThink}})).content,
            "a<think></think>");
  const Output out = Run(Reasoning(true), Concat({{kThink}, Ids("a"), {kEndThink, kEndThink}}));
  EXPECT_EQ(out.reasoning, "<think>a");
  EXPECT_EQ(out.content, "</think>");
}

TEST_F(ChoiceTest, ThinkSpelledInLettersIsText) {
  const Output out = Run(Reasoning(true), Concat({Ids("</think>"), {kEndThink}, Ids("a")}));
  EXPECT_EQ(out.reasoning, "</think>");
  EXPECT_EQ(out.content, "a");
}

TEST_F(ChoiceTest, EmptyReasoningLeavesOnlyContent) {
  const Output out = Run(Reasoning(true), Concat({Ids("\n\n"), {kEndThink}, Ids("\n\nhi")}));
  EXPECT_EQ(out.reasoning, "");
  EXPECT_EQ(out.content, "hi");
}

TEST_F(ChoiceTest, WithoutTheSplitTheTagsAreText) {
  EXPECT_EQ(Run(Plain(), Concat({Ids("a"), {kEndThink}, Ids("b")})).content, "a</think>b");
}

TEST_F(ChoiceTest, HalfACharacterBeforeATagIsReplacedInTheReasoning) {
  const Output out = Run(Reasoning(true), Concat({Ids("a"), {0xe2, kEndThink}, Ids("b")}));
  EXPECT_EQ(out.reasoning, "a\uFFFD");
  EXPECT_EQ(out.content, "b");
}

TEST_F(ChoiceTest, HalfACharacterBeforeAnOpeningTagMakesItText) {
  const Output out = Run(Reasoning(false), Concat({{0xe2, kThink}, Ids("a")}));
  EXPECT_EQ(out.content, "\uFFFD<think>a");
  EXPECT_EQ(out.reasoning, "");
}

TEST_F(ChoiceTest, AStopInReasoningEndsTheChoice) {
  ChoiceOptions options = Reasoning(true);
  options.stop = {"so"};
  const Output out = Run(options, Concat({Ids("hm so"), {kEndThink}, Ids("4")}));
  EXPECT_EQ(out.reasoning, "hm ");
  EXPECT_EQ(out.content, "");
  EXPECT_EQ(out.finished.stop_string, "so");
}

TEST_F(ChoiceTest, AStopMayReachAcrossATagWhichIsNeverShownInPart) {
  ChoiceOptions options = Reasoning(true);
  options.stop = {"m</thi", "k>4"};
  Output out = Run(options, Concat({Ids("hm"), {kEndThink}, Ids("4")}));
  EXPECT_EQ(out.reasoning, "h");
  EXPECT_EQ(out.content, "");
  options.stop = {"k>4"};
  out = Run(options, Concat({Ids("hm"), {kEndThink}, Ids("4")}));
  EXPECT_EQ(out.reasoning, "hm");
  EXPECT_EQ(out.content, "");
}

// ---- whatever comes ----

TEST_F(ChoiceTest, TheResultDoesNotDependOnHowTheTokensArrive) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::vector<TokenId> alphabet = {'a',  'b',  '\n', ' ',    '<',    'k',       '>',
                                         0xe2, 0x82, 0xac, kHello, kThink, kEndThink, kUser};
  const std::vector<std::string> stops = {"ab", "hellob", "\n\n", "k>", "€a", "</think>a"};
  for (int round = 0; round < 3000; ++round) {
    ChoiceOptions options = random() % 2 ? Reasoning(random() % 2) : Plain();
    for (size_t i = random() % 3; i > 0; --i)
      options.stop.push_back(stops[random() % stops.size()]);
    options.include_stop = random() % 2;
    options.min_tokens = random() % 3 ? 0 : static_cast<int>(random() % 10);
    std::vector<TokenId> ids;
    for (size_t length = random() % 25; ids.size() < length;) {
      ids.push_back(alphabet[random() % alphabet.size()]);
    }
    const Output one = Run(options, ids);
    const Output cut = Run(options, ids, [&] { return size_t{1} + random() % 5; });
    ASSERT_EQ(one.content, cut.content);
    ASSERT_EQ(one.reasoning, cut.reasoning);
    ASSERT_EQ(one.num_tokens, cut.num_tokens);
    ASSERT_EQ(one.num_counted, cut.num_counted);
    ASSERT_EQ(one.finished.stop_string, cut.finished.stop_string);
    ASSERT_EQ(static_cast<size_t>(one.num_tokens), one.logprobs.size());

    // Against a whole decode, where nothing was split away.
    if (options.split_reasoning) continue;
    const std::string whole = (*tokenizer_)->Decode(ids, /*skip_special=*/true).value();
    if (one.finished.stop_string.empty()) {
      ASSERT_EQ(one.content, whole);
    } else {
      const std::string kept = one.content + (options.include_stop ? "" : one.finished.stop_string);
      ASSERT_TRUE(whole.starts_with(kept)) << whole;
      ASSERT_TRUE(kept.ends_with(one.finished.stop_string));
    }
    if (options.min_tokens == 0 && !options.include_stop) {
      for (const std::string& stop : options.stop) {
        ASSERT_EQ(one.content.find(stop), std::string::npos);
      }
    }
  }
}

TEST_F(ChoiceTest, EveryDeltaIsWellFormed) {
  // Each of its pieces decodes alone: no delta ends inside a character.
  ChoiceOptions options = Plain();
  options.stop = {"€€"};
  const Output out = Run(options, {0xe2, 0x82, 0xac, 'a', 0xe2, 0x82, 0xac, 'b'});
  EXPECT_EQ(out.content, "€a€b");
  for (const Delta& delta : out.deltas) {
    EXPECT_TRUE(delta.content.empty() || (delta.content[0] & 0xc0) != 0x80) << delta.content;
  }
}

}  // namespace
}  // namespace weft::gateway
