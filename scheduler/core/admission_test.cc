// Who is let in, when, and with how much of its prompt already computed.
#include <gtest/gtest.h>

#include "scheduler/core/core_fixture.h"

namespace weft::core {
namespace {

class Admission : public CoreTest {};

TEST_F(Admission, WhatCanNeverRunIsRejectedAtOnceWithItsCause) {
  Join(1);  // 128 tokens of KV
  Submit(1, {.prompt = {}});
  Submit(2, {.prompt = {5, kVocabSize}});
  Submit(3, {.prompt = {-1}});
  Submit(4, {.prompt = {5}, .max_tokens = 0});
  Submit(5, {.prompt = Prompt('a', 128)});
  Submit(6, {.prompt = {5}, .stop_token_ids = {kVocabSize}});
  Submit(7, {.prompt = {5}, .delivered = {kVocabSize}});
  for (SequenceId id = 1; id <= 7; ++id) {
    ASSERT_TRUE(Rejection(id).has_value()) << id;
    EXPECT_EQ(Rejection(id)->code, RejectCode::kInvalid) << id;
    EXPECT_EQ(Rejection(id)->retry_after, 0) << id;
    EXPECT_NE(Rejection(id)->message, "") << id;
  }
  EXPECT_EQ(core_.counters().num_rejected, 7);
  EXPECT_EQ(core_.counters().num_accepted, 0);

  Submit(8, {.prompt = Prompt('a', 127)});
  EXPECT_FALSE(Rejection(8).has_value());
  StepUntilIdle();
  EXPECT_EQ(NumReceived(8), 1);
  EXPECT_EQ(EndReason(8), FinishReason::kLength);
  ExpectIdle();
}

TEST_F(Admission, AHandleInUseIsRejectedAndItsOwnerUnharmed) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 1});
  Outputs out;
  core_.Apply(core::Submit{.id = 1, .prompt = {1}, .max_tokens = 1}, 0, out);
  ASSERT_EQ(out.rejected.size(), 1u);
  StepUntilIdle();
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
}

TEST_F(Admission, BeforeTheFirstWorkerNothingCanBeJudged) {
  Submit(1, {.prompt = Prompt('a', 10)});
  EXPECT_EQ(Rejection(1)->code, RejectCode::kNoWorker);
  EXPECT_GT(Rejection(1)->retry_after, 0);
}

TEST_F(Admission, TheWholePromptIsReserved) {
  // 8 blocks: 1 takes 5; 2 needs 4 and waits, though its first chunk would fit.
  Join(1);
  Submit(1, {.prompt = Prompt('a', 80), .max_tokens = 1});
  Submit(2, {.prompt = Prompt('b', 64), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{1, 64}}));
  EXPECT_EQ(core_.gauges().num_blocks_used, 5);
  EXPECT_EQ(core_.gauges().num_waiting_capacity, 1);
  EXPECT_EQ(Step(), (Rows{{1, 16}}));
  EXPECT_EQ(Step(), (Rows{{2, 64}}));
}

TEST_F(Admission, SmallerPriorityGoesFirstThenArrival) {
  WorkerLimits limits = Limits();
  limits.max_rows = 1;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 1, .priority = 1});
  Submit(2, {.prompt = Prompt('b', 10), .max_tokens = 1, .priority = 1});
  Submit(3, {.prompt = Prompt('c', 10), .max_tokens = 1, .priority = 0});
  EXPECT_EQ(Step(), (Rows{{3, 10}}));
  EXPECT_EQ(Step(), (Rows{{1, 10}}));
  EXPECT_EQ(Step(), (Rows{{2, 10}}));
}

TEST_F(Admission, ATenantsBacklogDelaysItselfOnly) {
  WorkerLimits limits = Limits();
  limits.max_rows = 1;
  Join(1, limits);
  for (SequenceId id = 1; id <= 5; ++id) {
    Submit(id, {.tenant = "many", .prompt = Prompt('a', 10), .max_tokens = 1});
  }
  Submit(6, {.tenant = "one", .prompt = Prompt('b', 10), .max_tokens = 1});
  EXPECT_EQ(Step()[0].id, 1u);
  EXPECT_EQ(Step()[0].id, 6u);
  EXPECT_EQ(Step()[0].id, 2u);
}

class BoundedQueue : public CoreTest {
 protected:
  BoundedQueue() : CoreTest({.max_waiting_sequences = 2, .max_waiting_tokens = 100}) {}
};

TEST_F(BoundedQueue, BeyondItsLengthIsRejectedWithATimeToComeBack) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10)});
  Submit(2, {.prompt = Prompt('b', 10)});
  Submit(3, {.prompt = Prompt('c', 10)});
  ASSERT_TRUE(Rejection(3).has_value());
  EXPECT_EQ(Rejection(3)->code, RejectCode::kQueueFull);
  EXPECT_GE(Rejection(3)->retry_after, 1'000'000);
  Step();  // both run: the queue is empty
  Submit(4, {.prompt = Prompt('c', 10)});
  EXPECT_FALSE(Rejection(4).has_value());
}

TEST_F(BoundedQueue, BeyondItsTokensIsRejectedUnlessItIsEmpty) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 110)});
  EXPECT_FALSE(Rejection(1).has_value());
  Submit(2, {.prompt = Prompt('b', 10)});
  EXPECT_EQ(Rejection(2)->code, RejectCode::kQueueFull);
}

TEST_F(BoundedQueue, SaysThatItIsFullBeforeAnybodyAsks) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10)});
  EXPECT_EQ(core_.retry_after(), 0);
  Submit(2, {.prompt = Prompt('b', 10)});
  EXPECT_GE(core_.retry_after(), 1'000'000);
  Step();
  EXPECT_EQ(core_.retry_after(), 0);
  Submit(3, {.prompt = Prompt('c', 120)});  // alone it may be as long as it likes
  EXPECT_GE(core_.retry_after(), 1'000'000);
}

TEST_F(BoundedQueue, LetsInWhatResumes) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10)});
  Submit(2, {.prompt = Prompt('b', 10)});
  Submit(3, {.prompt = Prompt('c', 10), .delivered = {Sample(3, 0)}});
  EXPECT_FALSE(Rejection(3).has_value());
}

class TenantQuota : public CoreTest {
 protected:
  TenantQuota() : CoreTest({.max_tenant_sequences = 2}) {}
};

TEST_F(TenantQuota, CountsWhatWaitsAndWhatRunsAndLeavesOthersAlone) {
  Join(1);
  Submit(1, {.tenant = "a", .prompt = Prompt('a', 10), .max_tokens = 5});
  Step();
  Submit(2, {.tenant = "a", .prompt = Prompt('b', 10), .max_tokens = 5});
  Submit(3, {.tenant = "a", .prompt = Prompt('c', 10), .max_tokens = 5});
  Submit(4, {.tenant = "b", .prompt = Prompt('d', 10), .max_tokens = 5});
  ASSERT_TRUE(Rejection(3).has_value());
  EXPECT_EQ(Rejection(3)->code, RejectCode::kQuota);
  EXPECT_GE(Rejection(3)->retry_after, 1'000'000);
  EXPECT_FALSE(Rejection(2).has_value());
  EXPECT_FALSE(Rejection(4).has_value());
  EXPECT_EQ(core_.retry_after(), 0) << "the queue itself has room";
}

TEST_F(TenantQuota, HasRoomAgainOnceOneHasEnded) {
  Join(1);
  for (const core::SequenceId id : {1, 2}) {
    Submit(id, {.tenant = "a", .prompt = Prompt('a', 10), .max_tokens = 5});
  }
  Cancel(1);
  Submit(3, {.tenant = "a", .prompt = Prompt('a', 10), .max_tokens = 5});
  EXPECT_FALSE(Rejection(3).has_value());
}

TEST_F(TenantQuota, LetsInWhatResumes) {
  Join(1);
  for (const core::SequenceId id : {1, 2}) {
    Submit(id, {.tenant = "a", .prompt = Prompt('a', 10), .max_tokens = 5});
  }
  Submit(3, {.tenant = "a", .prompt = Prompt('a', 10), .delivered = {Sample(3, 0)}});
  EXPECT_FALSE(Rejection(3).has_value());
}

// ---- prefix cache ----

class Prefix : public CoreTest {};

TEST_F(Prefix, AnEarlierPromptsFullBlocksAreNotComputedAgain) {
  //   1: [a*16][a*16][a*8 ...
  //   2: [a*16][a*16][a*3 b*5]      2 blocks cached
  Join(1);
  Submit(1, {.prompt = Prompt('a', 40), .max_tokens = 1});
  Step();
  Submit(2, {.prompt = Prompt('a', 35) + Prompt('b', 5), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{2, 8}}));
  EXPECT_EQ(entered_at_[2], 32);
  EXPECT_EQ(End(2)->num_cached_tokens, 32);
  EXPECT_EQ(core_.counters().num_prompt_tokens_cached, 32);
  EXPECT_EQ(core_.counters().num_prompt_tokens_computed, 48);
  ExpectIdle();
}

TEST_F(Prefix, WhoWantsItsPromptsLogprobsComputesItAllAndOthersFindIt) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 40), .max_tokens = 1});
  Step();
  Submit(2, {.prompt = Prompt('a', 40), .max_tokens = 1, .prompt_logprobs = 0});
  EXPECT_EQ(Step(), (Rows{{2, 40}}));
  EXPECT_EQ(End(2)->num_cached_tokens, 0);
  EXPECT_EQ(NumPromptRows(2), 1);
  EXPECT_EQ(NumPromptRows(1), 0);
  // And while a sibling computes it, it does not wait.
  Submit(3, {.prompt = Prompt('b', 40), .max_tokens = 1, .prompt_logprobs = 0});
  Submit(4, {.prompt = Prompt('b', 20), .max_tokens = 1, .prompt_logprobs = 0});
  EXPECT_EQ(Step(), (Rows{{3, 40}, {4, 20}}));
  Submit(5, {.prompt = Prompt('b', 40), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{5, 8}}));
  ExpectIdle();
}

TEST_F(Prefix, OnceAllPromptLogprobsAreToldThePromptIsFoundAgain) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 40), .max_tokens = 9, .prompt_logprobs = 2});
  Step();
  Step();
  EXPECT_EQ(NumReceived(1), 2);
  EXPECT_EQ(NumPromptRows(1), 1);
  // It moves: what the next scheduler or worker gets is known to be told already.
  Submit(2, {.prompt = Prompt('a', 40),
             .delivered = {Sample(2, 0)},
             .max_tokens = 9,
             .prompt_logprobs = 2});
  Step();
  EXPECT_EQ(entered_at_[2], 32);
  StepUntilIdle();
  EXPECT_EQ(NumPromptRows(2), 0);
  ExpectIdle();
}

TEST_F(Prefix, TheLastTokenIsAlwaysComputed) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 32), .max_tokens = 1});
  Step();
  Submit(2, {.prompt = Prompt('a', 32), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{2, 16}}));
  Submit(3, {.prompt = Prompt('a', 33), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{3, 1}}));
}

TEST_F(Prefix, TheNextTurnFindsTheAnswerToo) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 30});
  StepUntilIdle();
  std::vector<TokenId> turn = Prompt('a', 10);
  for (int i = 0; i < 30; ++i) turn.push_back(Sample(1, i));
  Submit(2, {.prompt = turn + Prompt('b', 5), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{2, 45 - 32}}));
}

TEST_F(Prefix, IsSharedUnderEqualTenantAndSaltOnly) {
  Join(1);
  Submit(1, {.tenant = "x", .prompt = Prompt('a', 40), .max_tokens = 1, .salt = "s"});
  Step();
  Submit(2, {.tenant = "y", .prompt = Prompt('a', 40), .max_tokens = 1, .salt = "s"});
  EXPECT_EQ(Step(), (Rows{{2, 40}}));
  Submit(3, {.tenant = "x", .prompt = Prompt('a', 40), .max_tokens = 1, .salt = "t"});
  EXPECT_EQ(Step(), (Rows{{3, 40}}));
  Submit(4, {.tenant = "x", .prompt = Prompt('a', 40), .max_tokens = 1, .salt = "s"});
  EXPECT_EQ(Step(), (Rows{{4, 8}}));
}

TEST_F(Prefix, ASiblingWaitsForTheBlocksThatAreBeingComputed) {
  // 8 blocks, of which 1 has 5: 2 and 3 would not even fit.
  WorkerLimits limits = Limits();
  limits.max_step_tokens = 100;
  Join(1, limits);
  for (SequenceId id = 1; id <= 3; ++id) Submit(id, {.prompt = Prompt('a', 80), .max_tokens = 1});
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 80}}));
  EXPECT_EQ(core_.gauges().num_waiting_prefix, 2);
  Submit(4, {.prompt = Prompt('b', 10), .max_tokens = 1});
  EXPECT_EQ(CoreTest::Plan(), (Rows{{4, 10}})) << "nobody else waits for that";
  Answer();
  EXPECT_EQ(core_.gauges().num_waiting_prefix, 0);
  EXPECT_EQ(CoreTest::Plan(), (Rows{{2, 16}, {3, 16}}));
  Answer();
  Answer();
  EXPECT_EQ(End(3)->num_cached_tokens, 64);
  EXPECT_EQ(core_.counters().num_prompt_tokens_computed, 80 + 10 + 16 + 16);
  ExpectIdle();
}

TEST_F(Prefix, ASiblingWhosePromptIsHalfSharedWaitsForThatHalf) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 40), .max_tokens = 1});
  Submit(2, {.prompt = Prompt('a', 20) + Prompt('b', 20), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{1, 40}}));
  EXPECT_EQ(Step(), (Rows{{2, 24}}));
}

TEST_F(Prefix, WhenTheOneItWaitsForEndsTheSiblingComputesItself) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 80)});
  Submit(2, {.prompt = Prompt('a', 80), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{1, 64}}));
  Cancel(1);
  EXPECT_EQ(core_.gauges().num_waiting_prefix, 0);
  EXPECT_EQ(Step(), (Rows{{2, 64}}));  // a chunk that nothing vouched for is not shared
}

TEST_F(Prefix, WhoDoesNotWaitForAPrefixOvertakesWhoDoes) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 40)});
  Submit(2, {.prompt = Prompt('a', 40)});
  Submit(3, {.prompt = Prompt('c', 10)});
  EXPECT_EQ(Step(), (Rows{{1, 40}, {3, 10}}));
}

TEST_F(Prefix, AnUnusedBlockIsEvictedBeforeAnAdmissionFails) {
  // 8 blocks, 3 of them cached; the next prompt needs 6.
  Join(1);
  Submit(1, {.prompt = Prompt('a', 48), .max_tokens = 1});
  Step();
  EXPECT_EQ(core_.gauges().num_blocks_cached, 3);
  Submit(2, {.prompt = Prompt('b', 90), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{2, 64}}));
  EXPECT_EQ(core_.gauges().num_blocks_cached, 2);  // the first two, still a prefix
  StepUntilIdle();
  Submit(3, {.prompt = Prompt('a', 48), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{3, 16}}));
}

class NoPrefixCache : public CoreTest {
 protected:
  NoPrefixCache() : CoreTest({.enable_prefix_cache = false}) {}
};

TEST_F(NoPrefixCache, NothingIsSharedAndNobodyWaits) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 32), .max_tokens = 1});
  Submit(2, {.prompt = Prompt('a', 32), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{1, 32}, {2, 32}}));
  EXPECT_EQ(core_.gauges().num_blocks_cached, 0);
}

// ---- resumption ----

TEST_F(Admission, AResumedSequenceGoesOnBehindWhatWasDelivered) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10),
             .delivered = {Sample(1, 0), Sample(1, 1), Sample(1, 2)},
             .max_tokens = 5});
  EXPECT_EQ(Step(), (Rows{{1, 13}}));
  StepUntilIdle();
  EXPECT_EQ(NumReceived(1), 5);
  EXPECT_EQ(End(1)->num_output_tokens, 5);
  EXPECT_EQ(core_.counters().num_generated_tokens, 2);
}

TEST_F(Admission, AResumedSequenceThatWasCompleteEndsAtOnce) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .delivered = {3, 4}, .max_tokens = 2});
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
  Submit(2, {.prompt = Prompt('a', 10), .delivered = {3, 4}, .stop_token_ids = {4}});
  EXPECT_EQ(EndReason(2), FinishReason::kStop);
  EXPECT_EQ(End(2)->stop_token, 4);
  Submit(3, {.prompt = Prompt('a', 120), .delivered = Prompt('b', 8)});
  EXPECT_EQ(EndReason(3), FinishReason::kLength) << "the context is full";
  ExpectIdle();
}

}  // namespace
}  // namespace weft::core
