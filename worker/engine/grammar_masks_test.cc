#include "worker/engine/grammar_masks.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/test_models.h"

namespace weft::worker {
namespace {

constexpr TokenId kEos = 264, kCloseThink = 268;  // of text::TinyModel
constexpr int kVocab = 269;

class GrammarMasksTest : public ::testing::Test {
 protected:
  // Two steps in flight, a row each.
  struct Place {
    std::vector<uint32_t> words = std::vector<uint32_t>(MaskWords(kVocab));
    uint64_t ready = 0;
    bool allows(TokenId id) const { return words[id / 32] >> id % 32 & 1; }
  };

  void Enter(Grammar grammar, std::vector<TokenId> output = {}) {
    SlotEntry entry = {.slot = 0, .tokens = {1, 2}, .num_prompt_tokens = 2};
    entry.tokens.insert(entry.tokens.end(), output.begin(), output.end());
    entry.sampling.stop_token_ids = {kEos, 7};
    entry.sampling.grammar = std::move(grammar);
    masks_.Enter({.entries = {entry}});
  }
  MaskTarget Want(int place) {
    const MaskTarget target = {
        .words = places_[place].words, .ready = &places_[place].ready, .value = ++num_wanted_};
    masks_.of(0)->Want(target);
    return target;
  }
  void Sampled(TokenId token) { masks_.of(0)->Sampled(token); }

  text::TinyModel model_;
  Place places_[2];
  uint64_t num_wanted_ = 0;
  GrammarMasks masks_{model_.dir(), /*num_slots=*/2, /*num_threads=*/2};
};

TEST_F(GrammarMasksTest, EachMaskIsOfAllTokensBefore) {
  Enter({Grammar::Kind::kChoice, R"(["ab","ac"])"});
  WaitUntilReady(Want(0));
  EXPECT_TRUE(places_[0].allows('a'));
  EXPECT_FALSE(places_[0].allows('b'));
  EXPECT_FALSE(places_[0].allows(kEos));
  Sampled('a');
  WaitUntilReady(Want(0));
  EXPECT_FALSE(places_[0].allows('a'));
  EXPECT_TRUE(places_[0].allows('b') && places_[0].allows('c'));
  Sampled('c');
  WaitUntilReady(Want(0));  // complete: it ends, with any of its stop tokens
  EXPECT_TRUE(places_[0].allows(kEos) && places_[0].allows(7));
  EXPECT_FALSE(places_[0].allows('a') || places_[0].allows('b'));
  EXPECT_FALSE(masks_.of(0)->failed());
}

TEST_F(GrammarMasksTest, TheSecondStepInFlightWaitsForTheFirstsToken) {
  Enter({Grammar::Kind::kChoice, R"(["ab"])"});
  const MaskTarget first = Want(0);
  const MaskTarget second = Want(1);
  WaitUntilReady(first);
  EXPECT_TRUE(places_[0].allows('a'));
  EXPECT_NE(places_[1].ready, second.value);
  Sampled('a');
  WaitUntilReady(second);
  EXPECT_TRUE(places_[1].allows('b'));
  EXPECT_FALSE(places_[1].allows('a'));
}

TEST_F(GrammarMasksTest, BehindAStopTokenAStepInFlightStillGetsAMask) {
  Enter({Grammar::Kind::kChoice, R"(["a"])"}, {'a'});
  WaitUntilReady(Want(0));
  const MaskTarget second = Want(1);
  const std::shared_ptr<GrammarFollower> gone = masks_.of(0);
  masks_.Enter({.released_slots = {0}});  // by a step begun meanwhile
  gone->Sampled(kEos);
  WaitUntilReady(second);
  EXPECT_EQ(masks_.of(0), nullptr);
}

TEST_F(GrammarMasksTest, WhileReasoningEverythingIsAllowedButTheEnd) {
  Enter({Grammar::Kind::kChoice, R"(["a"])", kCloseThink});
  WaitUntilReady(Want(0));
  EXPECT_TRUE(places_[0].allows('z') && places_[0].allows(kCloseThink));
  EXPECT_FALSE(places_[0].allows(kEos) || places_[0].allows(7));
  Sampled('z');
  WaitUntilReady(Want(0));
  EXPECT_TRUE(places_[0].allows('z'));
  Sampled(kCloseThink);
  WaitUntilReady(Want(0));
  EXPECT_TRUE(places_[0].allows('a') && places_[0].allows('\n'));
  EXPECT_FALSE(places_[0].allows('z') || places_[0].allows(kEos));
}

TEST_F(GrammarMasksTest, AContinuedSequenceStandsWhereItStood) {
  Enter({Grammar::Kind::kChoice, R"(["abc"])", kCloseThink}, {'z', kCloseThink, '\n', 'a', 'b'});
  WaitUntilReady(Want(0));
  EXPECT_TRUE(places_[0].allows('c'));
  EXPECT_FALSE(places_[0].allows('a') || places_[0].allows('\n'));
}

TEST_F(GrammarMasksTest, WhatCannotBeFollowedFailsAndHoldsNobodyUp) {
  Enter({Grammar::Kind::kRegex, "(a"});  // the gateway would have refused it
  WaitUntilReady(Want(0));
  EXPECT_TRUE(masks_.of(0)->failed());
  Sampled('a');
  WaitUntilReady(Want(1));
}

TEST_F(GrammarMasksTest, AFailedRowHoldsNobodyUp) {
  Enter({Grammar::Kind::kChoice, R"(["ab"])"});
  WaitUntilReady(Want(0));
  const MaskTarget second = Want(1);
  masks_.of(0)->Sampled(std::nullopt);
  WaitUntilReady(second);
  EXPECT_TRUE(masks_.of(0)->failed());
}

TEST_F(GrammarMasksTest, ResetMakesEverythingWantedReady) {
  Enter({Grammar::Kind::kChoice, R"(["ab"])"});
  const MaskTarget first = Want(0);
  const MaskTarget second = Want(1);
  masks_.Reset();
  WaitUntilReady(first);
  WaitUntilReady(second);
}

}  // namespace
}  // namespace weft::worker
