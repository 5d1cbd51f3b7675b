// What a step's answer means, and how sequences end.
#include <gtest/gtest.h>

#include "scheduler/core/core_fixture.h"

namespace weft::core {
namespace {

class Apply : public CoreTest {};

TEST_F(Apply, AStopTokenIsDeliveredAndEndsTheSequence) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .stop_token_ids = {Sample(1, 2)}});
  StepUntilIdle();
  EXPECT_EQ(NumReceived(1), 3);
  EXPECT_EQ(EndReason(1), FinishReason::kStop);
  EXPECT_EQ(End(1)->stop_token, Sample(1, 2));
  ExpectIdle();
}

TEST_F(Apply, WhatIsSampledBehindAStopTokenIsDiscarded) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .stop_token_ids = {Sample(1, 0)}});
  CoreTest::Plan();
  CoreTest::Plan();  // runs ahead: nobody knows yet that the first one stops
  Answer();
  EXPECT_EQ(EndReason(1), FinishReason::kStop);
  Answer();
  EXPECT_EQ(NumReceived(1), 1);
  EXPECT_EQ(core_.counters().num_discarded_tokens, 1);
  ExpectIdle();
}

TEST_F(Apply, AStopTokenBeforeMinTokensIsNone) {
  // The answer is made by hand: a worker would have masked it.
  Join(1);
  SamplingParams sampling{.min_tokens = 2, .stop_token_ids = {7}};
  Outputs out;
  core_.Apply(core::Submit{.id = 1, .prompt = {1}, .sampling = sampling, .max_tokens = 9}, 0, out);
  const std::vector<RowResult> rows = {{.num_tokens = 1}};
  const std::vector<TokenId> stop = {7};
  for (uint64_t step_id = 1; step_id <= 3; ++step_id) {
    ASSERT_TRUE(out.finished.empty());
    ASSERT_TRUE(core_.Plan(0, step_));
    ASSERT_TRUE(
        core_.Apply(StepDone{.worker = 1, .step_id = step_id, .rows = rows, .tokens = stop}, 0, out)
            .ok());
  }
  ASSERT_EQ(out.finished.size(), 1u);
  EXPECT_EQ(out.finished[0].reason, FinishReason::kStop);
  EXPECT_EQ(out.finished[0].num_output_tokens, 3);
}

TEST_F(Apply, ATokenOfAFormerOccupantIsNotTheNextOnes) {
  WorkerLimits limits = Limits();
  limits.max_rows = 1;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 10)});
  Submit(2, {.prompt = Prompt('b', 10), .max_tokens = 1});
  CoreTest::Plan();
  Cancel(1);
  CoreTest::Plan();  // 2, in the same slot
  Answer();          // 1's token
  EXPECT_EQ(NumReceived(1), 0);
  EXPECT_EQ(NumReceived(2), 0);
  Answer();
  EXPECT_EQ(NumReceived(2), 1);
  ExpectIdle();
}

TEST_F(Apply, CancelEndsInEveryPhase) {
  WorkerLimits limits = Limits();
  limits.max_step_tokens = 200;
  limits.num_blocks = 9;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 64)});
  Submit(2, {.prompt = Prompt('b', 64)});
  Submit(3, {.prompt = Prompt('a', 64)});
  Submit(4, {.prompt = Prompt('d', 64)});
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 64}, {2, 64}}));
  EXPECT_EQ(core_.gauges().num_waiting_prefix, 1);    // 3, for 1's prompt
  EXPECT_EQ(core_.gauges().num_waiting_capacity, 1);  // 4
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 1}}));        // 2 gave its blocks up
  EXPECT_EQ(core_.gauges().num_waiting_owed, 1);
  for (SequenceId id = 1; id <= 4; ++id) {
    Cancel(id);
    EXPECT_EQ(EndReason(id), FinishReason::kCancelled);
  }
  ExpectIdle();
  Answer();
  Answer();
  EXPECT_EQ(CoreTest::Plan(), Rows{});
}

TEST_F(Apply, ConcludeCompletesAndCountsWhatIsKept) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10)});
  Step();
  Step();
  Step();
  Conclude(1, 2);
  EXPECT_EQ(EndReason(1), FinishReason::kStop);
  EXPECT_EQ(End(1)->stop_token, -1);
  EXPECT_EQ(End(1)->num_output_tokens, 2);
  EXPECT_EQ(core_.counters().num_completed, 1);
  ExpectIdle();
}

TEST_F(Apply, UnknownAndEndedIdsAreIgnored) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 1});
  Step();
  Cancel(1);
  Conclude(1, 1);
  Cancel(77);
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
  EXPECT_FALSE(End(77).has_value());
}

TEST_F(Apply, ANonFiniteRowEndsItsRequestAlone) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 20), .max_tokens = 3});
  Submit(2, {.prompt = Prompt('b', 20), .max_tokens = 3});
  CoreTest::Plan();
  Answer(1, /*broken=*/1);
  EXPECT_EQ(EndReason(1), FinishReason::kError);
  EXPECT_NE(End(1)->message, "");
  StepUntilIdle();
  EXPECT_EQ(EndReason(2), FinishReason::kLength);
  EXPECT_EQ(NumReceived(2), 3);
  ExpectIdle();
}

TEST_F(Apply, BlocksOfANonFiniteRowAreNeverFound) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 40)});
  CoreTest::Plan();
  Answer(1, /*broken=*/1);
  EXPECT_EQ(core_.gauges().num_blocks_cached, 0);
  Submit(2, {.prompt = Prompt('a', 40), .max_tokens = 1});
  EXPECT_EQ(Step(), (Rows{{2, 40}}));
  EXPECT_EQ(End(2)->num_cached_tokens, 0);
}

TEST_F(Apply, DeadlinesEndTheRunningAndTheWaiting) {
  WorkerLimits limits = Limits();
  limits.max_rows = 1;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 10), .deadline = 100});
  Submit(2, {.prompt = Prompt('b', 10), .deadline = 50});
  Submit(3, {.prompt = Prompt('c', 10), .max_tokens = 2});
  Step();
  EXPECT_EQ(core_.next_deadline(), 50);
  TickAt(49);
  EXPECT_FALSE(End(2).has_value());
  TickAt(50);
  EXPECT_EQ(EndReason(2), FinishReason::kTimeout);
  TickAt(1000);
  EXPECT_EQ(EndReason(1), FinishReason::kTimeout);
  EXPECT_EQ(core_.next_deadline(), kNever);
  StepUntilIdle();
  EXPECT_EQ(EndReason(3), FinishReason::kLength);
  EXPECT_EQ(core_.counters().num_failed, 2);
  ExpectIdle();
}

TEST_F(Apply, TimesTellWhereASequenceWas) {
  Join(1);
  now_ = 10;
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 2});
  now_ = 20;
  CoreTest::Plan();
  now_ = 30;
  Answer();
  now_ = 40;
  Step();
  const SequenceTimes times = End(1)->times;
  EXPECT_EQ(times.queued, 10);
  EXPECT_EQ(times.first_scheduled, 20);
  EXPECT_EQ(times.first_token, 30);
  EXPECT_EQ(times.finished, 40);
}

class Answer : public CoreTest {
 protected:
  // One step in flight: row 0 samples.
  void SetUp() override {
    Join(1);
    Submit(1, {.prompt = Prompt('a', 10)});
    ASSERT_EQ(Plan(), (Rows{{1, 10}}));
  }
  absl::StatusCode Try(uint64_t step_id, std::vector<RowResult> rows, std::vector<TokenId> tokens) {
    Outputs out;
    const absl::Status status = core_.Apply(
        StepDone{.worker = 1, .step_id = step_id, .rows = rows, .tokens = tokens}, 0, out);
    EXPECT_TRUE(core_.CheckInvariants().ok());
    EXPECT_EQ(out.tokens.size(), status.ok() ? 1u : 0u);
    return status.code();
  }
};

TEST_F(Answer, ThatDoesNotFitItsStepChangesNothing) {
  const RowResult one{.num_tokens = 1};
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(Try(2, {one}, {5}), kInvalid) << "no such step";
  EXPECT_EQ(Try(1, {}, {}), kInvalid) << "too few rows";
  EXPECT_EQ(Try(1, {one, one}, {5, 6}), kInvalid) << "too many rows";
  EXPECT_EQ(Try(1, {{.num_tokens = 0}}, {}), kInvalid) << "a token is missing";
  EXPECT_EQ(Try(1, {{.num_tokens = 2}}, {5, 6}), kInvalid) << "two tokens";
  EXPECT_EQ(Try(1, {{.num_tokens = -1}}, {}), kInvalid) << "less than none";
  EXPECT_EQ(Try(1, {one}, {5, 6}), kInvalid) << "tokens of no row";
  EXPECT_EQ(Try(1, {one}, {kVocabSize}), kInvalid) << "no such token";
  EXPECT_EQ(Try(1, {one}, {-1}), kInvalid) << "no such token";
  EXPECT_EQ(Try(1, {{.status = RowStatus::kNonFinite, .num_tokens = 1}}, {5}), kInvalid);
  EXPECT_EQ(Try(1, {{.status = RowStatus::kError}}, {}), absl::StatusCode::kInternal);
  EXPECT_EQ(Try(1, {one}, {5}), absl::StatusCode::kOk);
  EXPECT_EQ(Try(1, {one}, {5}), kInvalid) << "answered twice";
}

TEST_F(Answer, OfAnUnknownWorkerIsIgnored) {
  Outputs out;
  EXPECT_TRUE(core_.Apply(StepDone{.worker = 9, .step_id = 1}, 0, out).ok());
}

}  // namespace
}  // namespace weft::core
