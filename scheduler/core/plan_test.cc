// Who computes what in a step: budget, chunks, steps in flight, preemption.
#include <gtest/gtest.h>

#include "scheduler/core/core_fixture.h"

namespace weft::core {
namespace {

class Plan : public CoreTest {};

TEST_F(Plan, NothingToDoPlansNothing) {
  EXPECT_EQ(CoreTest::Plan(), Rows{});
  Join(1);
  EXPECT_EQ(CoreTest::Plan(), Rows{});
}

TEST_F(Plan, PromptIsComputedInChunksAndTheLastOneSamples) {
  // 64 tokens a step:  |------ 64 ------|-- 36 --|
  Join(1);
  Submit(1, {.prompt = Prompt('a', 100), .max_tokens = 2});
  EXPECT_EQ(Step(), (Rows{{1, 64}}));
  EXPECT_EQ(NumReceived(1), 0);
  EXPECT_EQ(Step(), (Rows{{1, 36}}));
  EXPECT_EQ(NumReceived(1), 1);
  EXPECT_EQ(Step(), (Rows{{1, 1}}));
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
  ExpectIdle();
}

TEST_F(Plan, RunningSequencesDecodeWhileAPromptIsComputed) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10)});
  Step();
  Submit(2, {.prompt = Prompt('b', 100)});
  EXPECT_EQ(Step(), (Rows{{1, 1}, {2, 63}}));
  EXPECT_EQ(Step(), (Rows{{1, 1}, {2, 37}}));
  EXPECT_EQ(Step(), (Rows{{1, 1}, {2, 1}}));
}

TEST_F(Plan, PromptsHoldUpDecodesForAboutAsLongAsTheyMay) {
  WorkerLimits limits = Limits();
  limits.num_blocks = 400;
  limits.max_step_tokens = 2000;
  limits.max_context_tokens = 5000;
  Join(1, limits);
  const auto step = [&] {  // takes 1 ms, and 4 us for each prompt token
    const Rows rows = CoreTest::Plan();
    int num_prompt_tokens = 0;
    for (const PlannedRow& row : rows) num_prompt_tokens += row.num_tokens > 1 ? row.num_tokens : 0;
    step_took_ = 1'000 + 4 * num_prompt_tokens;
    Answer();
    return rows;
  };
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 100});
  for (int i = 0; i < 10; ++i) step();
  Submit(2, {.prompt = Prompt('b', 4500)});
  EXPECT_EQ(step(), (Rows{{1, 1}, {2, 1999}}));  // what prompts cost is not known yet
  const Rows cut = step();
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_NEAR(cut[1].num_tokens, 1000, 300);  // 5 ms
  Cancel(1);
  EXPECT_EQ(step(), (Rows{{2, 4500 - 1999 - cut[1].num_tokens}}));  // nobody waits
}

class ShortChunks : public CoreTest {
 protected:
  ShortChunks() : CoreTest({.long_prefill_token_threshold = 30}) {}
};

TEST_F(ShortChunks, NoPromptTakesMoreOfAStepThanTheThreshold) {
  WorkerLimits limits = Limits();
  limits.num_blocks = 20;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 100)});
  Submit(2, {.prompt = Prompt('b', 50)});
  EXPECT_EQ(Step(), (Rows{{1, 30}, {2, 30}}));
  EXPECT_EQ(Step(), (Rows{{1, 30}, {2, 20}}));
  EXPECT_EQ(Step(), (Rows{{2, 1}, {1, 30}}));
}

class Fcfs : public CoreTest {
 protected:
  Fcfs() : CoreTest({.policy = SchedulingPolicy::kFcfs}) {}
};

TEST_F(Fcfs, PrioritiesAreIgnored) {
  Submit(1, {.prompt = Prompt('a', 10), .priority = 5});
  Join(1, LimitsOneStep());
  Submit(2, {.prompt = Prompt('b', 60), .priority = 5});
  Submit(3, {.prompt = Prompt('c', 60), .priority = -5});
  EXPECT_EQ(Step(), (Rows{{2, 60}, {3, 4}}));
}

TEST_F(Plan, PromptsShareTheBudgetInPolicyOrder) {
  WorkerLimits limits = Limits();
  limits.num_blocks = 20;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 60)});
  Submit(2, {.prompt = Prompt('b', 60)});
  Submit(3, {.prompt = Prompt('c', 60)});
  EXPECT_EQ(Step(), (Rows{{1, 60}, {2, 4}}));
  EXPECT_EQ(Step(), (Rows{{1, 1}, {2, 56}, {3, 7}}));
}

TEST_F(Plan, NoMoreStepsInFlightThanTheWorkerHolds) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10)});
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 10}}));
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 1}}));  // its input is owed by the first
  EXPECT_EQ(CoreTest::Plan(), Rows{});
  Answer();
  EXPECT_EQ(NumReceived(1), 1);
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 1}}));
}

TEST_F(Plan, OwedTokensCountAgainstMaxTokens) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 2});
  CoreTest::Plan();
  CoreTest::Plan();
  Answer();
  EXPECT_EQ(CoreTest::Plan(), Rows{});  // the second is owed: there will be no third
  Answer();
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
  EXPECT_EQ(core_.counters().num_discarded_tokens, 0);
  ExpectIdle();
}

TEST_F(Plan, ASequenceGrowsByOneBlockWhenItsLastIsFull) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 15)});
  CoreTest::Plan();
  ASSERT_EQ(step_.entries.size(), 1u);
  EXPECT_EQ(step_.entries[0].blocks.size(), 1u);
  EXPECT_TRUE(step_.new_blocks.empty());
  CoreTest::Plan();  // position 15: the last of the first block
  EXPECT_TRUE(step_.new_blocks.empty());
  Answer();
  CoreTest::Plan();  // position 16
  EXPECT_EQ(step_.new_blocks.size(), 1u);
  EXPECT_EQ(step_.rows[0].num_new_blocks, 1);
}

TEST_F(Plan, TheLastInPolicyOrderGivesItsBlocksToThoseBefore) {
  // 8 blocks: 1 holds 4 (64 tokens, full), 2 holds 4 (60 tokens).
  WorkerLimits limits = LimitsOneStep();
  limits.max_step_tokens = 200;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 64)});
  Submit(2, {.prompt = Prompt('b', 60)});
  EXPECT_EQ(Step(), (Rows{{1, 64}, {2, 60}}));
  EXPECT_EQ(Step(), (Rows{{1, 1}}));  // 1 needs a fifth block: 2 leaves
  EXPECT_EQ(core_.counters().num_preemptions, 1);
  EXPECT_EQ(core_.gauges().num_waiting_capacity, 1);
  StepUntilIdle();
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
  EXPECT_EQ(EndReason(2), FinishReason::kLength);
  EXPECT_EQ(End(2)->num_preemptions, 1);
  ExpectIdle();
}

TEST_F(Plan, ThePreemptedStillReceivesWhatItIsOwedAndOnlyThenRunsAgain) {
  WorkerLimits limits = Limits();
  limits.max_step_tokens = 200;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 64), .max_tokens = 3});
  Submit(2, {.prompt = Prompt('b', 60), .max_tokens = 10});
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 64}, {2, 60}}));
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 1}}));  // 2 preempted; its first sample is owed
  EXPECT_EQ(core_.gauges().num_waiting_owed, 1);
  Answer();
  EXPECT_EQ(NumReceived(2), 1);
  EXPECT_EQ(core_.gauges().num_waiting_owed, 0);
  Answer();
  StepUntilIdle();
  EXPECT_EQ(NumReceived(2), 10);
  ExpectIdle();
}

TEST_F(Plan, ReleasedBlocksAndSlotsAreGrantedInTheVeryNextStep) {
  // One slot: 2 can only enter when 1's is released, while a step of 1 is in flight.
  WorkerLimits limits = Limits();
  limits.max_rows = 1;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 60)});
  Submit(2, {.prompt = Prompt('b', 60), .max_tokens = 1});
  CoreTest::Plan();
  Cancel(1);
  EXPECT_EQ(CoreTest::Plan(), (Rows{{2, 60}}));
  EXPECT_EQ(step_.released_slots, std::vector<int>{0});
  EXPECT_EQ(step_.entries[0].slot, 0);
  Answer();  // of a step whose only sequence is gone
  EXPECT_EQ(NumReceived(1), 0);
  EXPECT_EQ(core_.counters().num_discarded_tokens, 1);
  Answer();
  EXPECT_EQ(NumReceived(2), 1);
  ExpectIdle();
}

TEST_F(Plan, TheFirstAlwaysProgressesUpToTheWholePool) {
  // 128 tokens of KV, three sequences that each want all of it.
  Join(1);
  for (SequenceId id = 1; id <= 3; ++id) {
    Submit(id, {.prompt = Prompt(static_cast<char>('a' + id), 20), .max_tokens = 1000});
  }
  StepUntilIdle();
  for (SequenceId id = 1; id <= 3; ++id) {
    EXPECT_EQ(EndReason(id), FinishReason::kLength);
    EXPECT_EQ(NumReceived(id), 128 - 20) << "prompt and output fill the context";
  }
  EXPECT_EQ(End(1)->num_preemptions, 0);
  ExpectIdle();
}

TEST_F(Plan, WorkersTakeTurns) {
  Join(1);
  Join(2);
  Submit(1, {.prompt = Prompt('a', 10)});
  Submit(2, {.prompt = Prompt('b', 10)});
  EXPECT_EQ(CoreTest::Plan().size(), 1u);
  const WorkerId first = planned_worker_;
  EXPECT_EQ(CoreTest::Plan().size(), 1u);
  EXPECT_NE(planned_worker_, first);
}

}  // namespace
}  // namespace weft::core
