#include "scheduler/core/snapshot.h"

#include <gtest/gtest.h>

#include "scheduler/core/core_fixture.h"

namespace weft::core {
namespace {

class DescribeTest : public CoreTest {};

TEST_F(DescribeTest, RunningOnesFirstThenTheQueueInItsOrder) {
  WorkerLimits limits = LimitsOneStep();
  limits.max_rows = 1;
  Join(1, limits);
  Submit(1, {.prompt = Prompt('a', 40), .max_tokens = 5});
  Step();
  Submit(2, {.prompt = Prompt('b', 20)});
  Submit(3, {.tenant = "acme", .prompt = Prompt('c', 20), .priority = -1});
  EXPECT_EQ(CoreTest::Plan(), (Rows{{1, 1}}));
  const Snapshot snapshot = core_.Describe(10);
  ASSERT_EQ(snapshot.workers.size(), 1u);
  EXPECT_EQ(snapshot.workers[0].num_running, 1);
  EXPECT_EQ(snapshot.workers[0].num_steps_in_flight, 1);
  EXPECT_EQ(snapshot.workers[0].num_blocks_used, 3);
  EXPECT_EQ(snapshot.gauges.num_waiting_capacity, 2);
  ASSERT_EQ(snapshot.sequences.size(), 3u);
  EXPECT_EQ(snapshot.sequences[0].id, 1u);
  EXPECT_EQ(snapshot.sequences[0].phase, Phase::kRunning);
  EXPECT_EQ(snapshot.sequences[0].num_output_tokens, 1);
  EXPECT_EQ(snapshot.sequences[0].num_owed_tokens, 1);
  EXPECT_EQ(snapshot.sequences[1].id, 3u);
  EXPECT_EQ(snapshot.sequences[1].tenant, "acme");
  EXPECT_EQ(snapshot.sequences[2].id, 2u);
  EXPECT_EQ(core_.Describe(1).num_left_out, 2);
  Answer();
}

TEST_F(DescribeTest, SaysHowManyBlocksTheFirstInTheQueueLacks) {
  Join(1, LimitsOneStep());
  Submit(1, {.prompt = Prompt('a', 64), .max_tokens = 5});
  Step();
  Submit(2, {.prompt = Prompt('b', 100)});
  Step();
  EXPECT_GT(core_.Describe(10).workers[0].num_lacking_blocks, 0);
}

}  // namespace
}  // namespace weft::core
