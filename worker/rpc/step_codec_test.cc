#include "worker/rpc/step_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Step TwoRows() {
  // slot 3 decodes and gets block 9; slot 0 enters and prefills two blocks' worth.
  v1::Step step;
  step.set_step_id(7);
  step.add_released_slots(0);
  v1::SlotEntry& entry = *step.add_entries();
  entry.set_slot(0);
  for (int id : {5, 6, 7}) entry.add_tokens(id);
  entry.set_num_prompt_tokens(3);
  entry.set_num_computed_tokens(1);
  entry.add_blocks(4);
  entry.mutable_sampling()->set_seed(~uint64_t{0});
  entry.mutable_sampling()->set_num_logprobs(0);
  for (int slot : {3, 0}) step.add_row_slots(slot);
  for (int count : {1, 2}) step.add_row_num_tokens(count);
  for (int count : {1, 2}) step.add_row_num_new_blocks(count);
  for (int block : {9, 10, 11}) step.add_new_blocks(block);
  return step;
}

TEST(StepCodec, RowsGetTheirOwnNewBlocks) {
  StepCommand command;
  ASSERT_TRUE(FromProto(TwoRows(), command).ok());
  EXPECT_EQ(command.step_id, 7u);
  EXPECT_THAT(command.released_slots, ElementsAre(0));
  ASSERT_EQ(command.rows.size(), 2u);
  EXPECT_EQ(command.rows[0].slot, 3);
  EXPECT_THAT(command.rows[0].new_blocks, ElementsAre(9));
  EXPECT_EQ(command.rows[1].num_tokens, 2);
  EXPECT_THAT(command.rows[1].new_blocks, ElementsAre(10, 11));
  ASSERT_EQ(command.entries.size(), 1u);
  EXPECT_THAT(command.entries[0].tokens, ElementsAre(5, 6, 7));
  EXPECT_THAT(command.entries[0].blocks, ElementsAre(4));
  EXPECT_EQ(command.entries[0].num_computed_tokens, 1);
  EXPECT_EQ(command.entries[0].sampling.seed, ~uint64_t{0});
  EXPECT_EQ(command.entries[0].sampling.num_logprobs, 0);
}

TEST(StepCodec, NothingOfTheStepBeforeIsLeftInACommandUsedAgain) {
  StepCommand command;
  ASSERT_TRUE(FromProto(TwoRows(), command).ok());
  v1::Step step;
  step.set_step_id(8);
  step.add_row_slots(3);
  step.add_row_num_tokens(1);
  step.add_row_num_new_blocks(0);
  ASSERT_TRUE(FromProto(step, command).ok());
  EXPECT_TRUE(command.released_slots.empty());
  EXPECT_TRUE(command.entries.empty());
  ASSERT_EQ(command.rows.size(), 1u);
  EXPECT_TRUE(command.rows[0].new_blocks.empty());
}

TEST(StepCodec, ListsThatDoNotFitAreRefused) {
  StepCommand command;
  v1::Step step = TwoRows();
  step.add_row_slots(1);
  EXPECT_THAT(FromProto(step, command).message(), HasSubstr("row lists differ"));
  step = TwoRows();
  step.add_new_blocks(12);
  EXPECT_THAT(FromProto(step, command).message(), HasSubstr("fewer new blocks"));
  step = TwoRows();
  step.set_row_num_new_blocks(1, 0xffffffff);
  EXPECT_THAT(FromProto(step, command).message(), HasSubstr("more new blocks"));
  step = TwoRows();
  step.set_new_blocks(0, 0x80000000);
  EXPECT_EQ(FromProto(step, command).code(), absl::StatusCode::kInvalidArgument);
  step = TwoRows();
  step.mutable_entries(0)->set_slot(0x80000000);
  EXPECT_EQ(FromProto(step, command).code(), absl::StatusCode::kInvalidArgument);
}

TEST(StepCodec, AnswersStandByRowPosition) {
  StepResult result{.step_id = 7, .forward_us = 800};
  result.rows.resize(3);
  result.rows[0].tokens = {11};
  result.rows[0].logprobs = {
      {.logprob = -0.5f, .top_tokens = {11, 12}, .top_logprobs = {-0.5f, -2}}};
  result.rows[1].status = RowStatus::kNonFinite;
  result.rows[2].tokens = {13};
  v1::StepDone done;
  ToProto(result, done);
  EXPECT_EQ(done.step_id(), 7u);
  EXPECT_THAT(done.statuses(),
              ElementsAre(v1::ROW_STATUS_OK, v1::ROW_STATUS_NON_FINITE, v1::ROW_STATUS_OK));
  EXPECT_THAT(done.num_tokens(), ElementsAre(1, 0, 1));
  EXPECT_THAT(done.tokens(), ElementsAre(11, 13));
  ASSERT_EQ(done.logprobs_size(), 1);
  EXPECT_EQ(done.logprobs(0).row(), 0u);
  EXPECT_THAT(done.logprobs(0).logprobs().top_tokens(), ElementsAre(11, 12));
  EXPECT_EQ(done.timings().forward_us(), 800u);
}

TEST(StepCodec, PromptLogprobsStandByRowAndPosition) {
  StepResult result{.step_id = 7};
  result.rows.resize(3);
  result.rows[1].prompt_logprobs = {.first_position = 65,
                                    .logprobs = {-1, -2},
                                    .ranks = {1, 4},
                                    .num_top = 1,
                                    .top_tokens = {8, 9},
                                    .top_logprobs = {-1, -0.5f}};
  v1::StepDone done;
  ToProto(result, done);
  ASSERT_EQ(done.prompt_logprobs_size(), 1);
  EXPECT_EQ(done.prompt_logprobs(0).row(), 1u);
  const v1::PromptLogprobs& logprobs = done.prompt_logprobs(0).logprobs();
  EXPECT_EQ(logprobs.first_position(), 65u);
  EXPECT_THAT(logprobs.logprobs(), ElementsAre(-1, -2));
  EXPECT_THAT(logprobs.ranks(), ElementsAre(1, 4));
  EXPECT_EQ(logprobs.num_top(), 1u);
  EXPECT_THAT(logprobs.top_tokens(), ElementsAre(8, 9));
  EXPECT_THAT(logprobs.top_logprobs(), ElementsAre(-1, -0.5f));
}

}  // namespace
}  // namespace weft::worker
