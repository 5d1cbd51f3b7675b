// Workers that join, drain and are lost.
#include <gtest/gtest.h>

#include "scheduler/core/core_fixture.h"

namespace weft::core {
namespace {

class Workers : public CoreTest {};

TEST_F(Workers, LimitsThatCannotWorkAreRefused) {
  const auto refuse = [&](auto change) {
    WorkerLimits limits = Limits();
    change(limits);
    EXPECT_EQ(TryJoin(1, limits).code(), absl::StatusCode::kInvalidArgument);
  };
  refuse([](WorkerLimits& it) { it.block_tokens = 32; });
  refuse([](WorkerLimits& it) { it.num_blocks = 0; });
  refuse([](WorkerLimits& it) { it.num_blocks = 1 << 30; });
  refuse([](WorkerLimits& it) { it.max_rows = 0; });
  refuse([](WorkerLimits& it) { it.max_step_tokens = it.max_rows - 1; });
  refuse([](WorkerLimits& it) { it.max_steps_in_flight = 0; });
  refuse([](WorkerLimits& it) { it.max_context_tokens = 1; });
  refuse([](WorkerLimits& it) { it.vocab_size = 0; });
  Join(1);
  EXPECT_FALSE(TryJoin(1, Limits()).ok()) << "twice";
  refuse([](WorkerLimits& it) { it.vocab_size = kVocabSize + 1; });
  EXPECT_EQ(core_.gauges().num_workers_ready, 1);
}

TEST_F(Workers, ALostWorkersSequencesGoOnWithWhatIsKnown) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 6});
  Step();
  Step();
  CoreTest::Plan();
  CoreTest::Plan();  // two tokens owed, never to come
  Lose(1);
  EXPECT_EQ(core_.gauges().num_waiting_worker, 1);
  EXPECT_EQ(CoreTest::Plan(), Rows{});
  Join(2);
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 12}}));
  EXPECT_EQ(planned_worker_, 2u);
  Answer(2);
  StepUntilIdle();
  EXPECT_EQ(NumReceived(1), 6);
  EXPECT_EQ(EndReason(1), FinishReason::kLength);
  EXPECT_EQ(core_.counters().num_requeued, 1);
  EXPECT_EQ(core_.counters().num_steps_lost, 2);
  ExpectIdle();
}

TEST_F(Workers, PromptRowsOfALostOneComeAgainFromTheNext) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 100), .max_tokens = 2, .prompt_logprobs = 1});
  Step();  // 64 tokens
  EXPECT_EQ(NumPromptRows(1), 1);
  Lose(1);
  Join(2);
  EXPECT_EQ(Step(), (Rows{{1, 64}}));
  EXPECT_EQ(Step(), (Rows{{1, 36}}));
  EXPECT_EQ(NumPromptRows(1), 3);
  StepUntilIdle();
  EXPECT_EQ(NumPromptRows(1), 3);
  ExpectIdle();
}

TEST_F(Workers, WhatALostOneOwedToThePreemptedIsForgotten) {
  WorkerLimits limits = Limits();
  limits.max_step_tokens = 200;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 64), .max_tokens = 2});
  Submit(2, {.prompt = Prompt('b', 60), .max_tokens = 2});
  CoreTest::Plan();
  CoreTest::Plan();
  EXPECT_EQ(core_.gauges().num_waiting_owed, 1);
  Lose(1);
  EXPECT_EQ(core_.gauges().num_waiting_owed, 0);
  Join(2, limits);
  StepUntilIdle();
  EXPECT_EQ(NumReceived(1), 2);
  EXPECT_EQ(NumReceived(2), 2);
  ExpectIdle();
}

TEST_F(Workers, ASecondOneTakesTheLoadOfTheFirst) {
  Join(1);
  Join(2);
  for (SequenceId id = 1; id <= 4; ++id) {
    Submit(id, {.prompt = Prompt(static_cast<char>('a' + id), 10), .max_tokens = 1});
  }
  EXPECT_EQ(CoreTest::Plan().size(), 2u);
  EXPECT_EQ(CoreTest::Plan().size(), 2u);
}

TEST_F(Workers, BetweenEqualLoadsThePrefixDecides) {
  // Two rows of eight are one step of load: too little to compute a prompt anew.
  WorkerLimits limits = Limits();
  limits.max_rows = 16;
  limits.num_blocks = 64;
  Join(1, limits);
  Join(2, limits);
  Submit(1, {.prompt = Prompt('a', 40)});
  CoreTest::Plan();
  const WorkerId home = planned_worker_;
  Answer(home);
  Submit(2, {.prompt = Prompt('a', 40)});
  CoreTest::Plan();
  EXPECT_EQ(planned_worker_, home);
  EXPECT_EQ(entered_at_[2], 32);
}

TEST_F(Workers, ADrainingOneGetsNothingMoreAndItsSequencesMoveOn) {
  Join(1);
  Submit(1, {.prompt = Prompt('a', 10), .max_tokens = 3});
  CoreTest::Plan();
  Join(2);
  Drain(1);
  EXPECT_EQ(CoreTest::Plan(), Rows{});  // owed one token by worker 1
  Answer(1);
  EXPECT_EQ(NumReceived(1), 1);
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 11}}));
  EXPECT_EQ(planned_worker_, 2u);
  Lose(1);  // its stream ends
  Answer(2);
  StepUntilIdle();
  EXPECT_EQ(NumReceived(1), 3);
  EXPECT_EQ(core_.gauges().num_waiting_trial, 0);
  ExpectIdle();
}

TEST_F(Workers, WhatFitsNowhereAnyMoreEndsWithItsCause) {
  WorkerLimits small = Limits();
  small.num_blocks = 2;
  Join(1);
  Submit(1, {.prompt = Prompt('a', 60)});
  Submit(2, {.prompt = Prompt('b', 20), .max_tokens = 30});
  Step();
  Step();
  Submit(3, {.prompt = Prompt('c', 60)});
  Lose(1);
  EXPECT_FALSE(End(1).has_value()) << "as long as there is none, all wait";
  Join(2, small);
  EXPECT_EQ(EndReason(1), FinishReason::kLength) << "it had output";
  EXPECT_EQ(EndReason(3), FinishReason::kError);
  EXPECT_NE(End(3)->message.find("60 tokens"), std::string::npos);
  StepUntilIdle();
  EXPECT_EQ(EndReason(2), FinishReason::kLength);
  EXPECT_EQ(NumReceived(2), 32 - 20);
  ExpectIdle();
}

class Suspects : public CoreTest {
 protected:
  // 1, 2 and 3 are in the step that worker 1 dies of.
  void SetUp() override {
    Join(1);
    for (SequenceId id = 1; id <= 3; ++id) {
      Submit(id, {.prompt = Prompt(static_cast<char>('a' + id), 10), .max_tokens = 8});
    }
    Step();
    ASSERT_EQ(Plan().size(), 3u);
    Lose(1);
  }
};

TEST_F(Suspects, AreTriedOneAtATimeUntilTwoTokensHaveCome) {
  Join(2);
  EXPECT_EQ(Step(), (Rows{{1, 11}}));
  EXPECT_EQ(core_.gauges().num_waiting_trial, 2);
  EXPECT_EQ(Step(), (Rows{{1, 1}}));
  EXPECT_EQ(Step(), (Rows{{1, 1}, {2, 11}}));
  StepUntilIdle();
  for (SequenceId id = 1; id <= 3; ++id) EXPECT_EQ(EndReason(id), FinishReason::kLength);
  ExpectIdle();
}

TEST_F(Suspects, TheOneThatBringsDownASecondWorkerIsFailedAndOnlyThat) {
  Join(2);
  ASSERT_EQ(Plan(), (Rows{{1, 11}}));
  Lose(2);
  EXPECT_EQ(EndReason(1), FinishReason::kError);
  EXPECT_NE(End(1)->message, "");
  Join(3);
  StepUntilIdle();
  EXPECT_EQ(EndReason(2), FinishReason::kLength);
  EXPECT_EQ(EndReason(3), FinishReason::kLength);
  ExpectIdle();
}

TEST_F(Suspects, NewcomersRunBesideAndAreNotBlamedForThem) {
  Join(2);
  Submit(4, {.prompt = Prompt('x', 10), .max_tokens = 8});
  ASSERT_EQ(Plan(), (Rows{{1, 11}, {4, 10}}));
  Lose(2);
  Join(3);
  EXPECT_EQ(Step(), (Rows{{2, 11}, {4, 10}})) << "4 waits for no trial";
}

TEST_F(Suspects, ALossBetweenStepsAccusesNobody) {
  Join(2);
  Step();
  Step();
  Step();
  Lose(2);  // nothing was in flight
  Join(3);
  EXPECT_EQ(core_.gauges().num_waiting_trial, 2) << "2, in the middle of its trial, and 3";
  StepUntilIdle();
  for (SequenceId id = 1; id <= 3; ++id) EXPECT_EQ(EndReason(id), FinishReason::kLength);
}

TEST_F(Suspects, WhoeverIsAlwaysThereIsFailedInTheEnd) {
  // 1 passes each trial, and the worker dies right after.
  Cancel(2);
  Cancel(3);
  WorkerId worker = 2;
  for (int loss = 2; !End(1).has_value(); ++loss) {
    ASSERT_LE(loss, 5);
    Join(worker);
    if (NumReceived(1) < 6) {
      Step();
      Step();
    }
    ASSERT_EQ(Plan().size(), 1u);
    Lose(worker++);
  }
  EXPECT_EQ(EndReason(1), FinishReason::kError);
}

}  // namespace
}  // namespace weft::core
