#include "scheduler/rpc/core_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CoreCodec, AHandleAndItsStreamMakeOneId) {
  const core::SequenceId id = SequenceIdOf(kMaxStreamId, 0xfffffffe);
  EXPECT_EQ(StreamOf(id), kMaxStreamId);
  EXPECT_EQ(HandleOf(id), 0xfffffffeu);
}

TEST(CoreCodec, ATimeoutCountsFromReceipt) {
  v1::Submit proto;
  proto.add_prompt_tokens(1);
  proto.set_max_tokens(5);
  proto.add_delivered_tokens(9);
  EXPECT_EQ(FromProto(proto, 1, 1000)->deadline, core::kNever);
  proto.set_timeout_ms(20);
  auto submit = FromProto(proto, 1, 1000);
  ASSERT_TRUE(submit.ok());
  EXPECT_EQ(submit->deadline, 21000);
  EXPECT_THAT(submit->delivered, ElementsAre(9));
}

TEST(CoreCodec, NumbersThatFitNoIntAreRefused) {
  v1::Submit submit;
  submit.add_prompt_tokens(1);
  submit.set_max_tokens(0x80000000);
  EXPECT_FALSE(FromProto(submit, 1, 0).ok());
  v1::WorkerLimits limits;
  limits.set_num_blocks(0x80000000);
  EXPECT_FALSE(FromProto(limits).ok());
}

TEST(CoreCodec, AnAnswerWhoseListsDoNotFitIsRefused) {
  v1::StepDone done;
  done.add_statuses(v1::ROW_STATUS_OK);
  EXPECT_FALSE(FromProto(done).ok());
  done.add_num_tokens(2);
  done.add_tokens(5);
  EXPECT_FALSE(FromProto(done).ok());
  done.add_tokens(6);
  EXPECT_TRUE(FromProto(done).ok());
  done.add_logprobs()->set_row(1);
  EXPECT_FALSE(FromProto(done).ok());
}

TEST(CoreCodec, AnUnknownRowStatusIsAnError) {
  v1::StepDone done;
  done.add_statuses(static_cast<v1::RowStatus>(17));
  done.add_num_tokens(0);
  EXPECT_EQ(FromProto(done)->rows.at(0).status, core::RowStatus::kError);
}

TEST(CoreCodec, AStepKeepsItsRowsBlocksAndEntries) {
  const std::vector<TokenId> tokens = {5, 6, 7};
  const std::vector<int> blocks = {4};
  const SamplingParams sampling{.seed = 3};
  core::Step step{.step_id = 7, .released_slots = {2}, .new_blocks = {8, 9}};
  step.entries.push_back({.slot = 1,
                          .tokens = tokens,
                          .num_prompt_tokens = 2,
                          .num_computed_tokens = 1,
                          .blocks = blocks,
                          .sampling = &sampling});
  step.rows = {{.slot = 0, .num_tokens = 1, .num_new_blocks = 1},
               {.slot = 1, .num_tokens = 2, .num_new_blocks = 1}};
  v1::Step proto;
  ToProto(step, proto);
  EXPECT_EQ(proto.step_id(), 7u);
  EXPECT_THAT(proto.released_slots(), ElementsAre(2));
  EXPECT_THAT(proto.row_slots(), ElementsAre(0, 1));
  EXPECT_THAT(proto.row_num_tokens(), ElementsAre(1, 2));
  EXPECT_THAT(proto.row_num_new_blocks(), ElementsAre(1, 1));
  EXPECT_THAT(proto.new_blocks(), ElementsAre(8, 9));
  EXPECT_THAT(proto.entries(0).tokens(), ElementsAre(5, 6, 7));
  EXPECT_THAT(proto.entries(0).blocks(), ElementsAre(4));
  EXPECT_EQ(proto.entries(0).num_computed_tokens(), 1u);
  EXPECT_EQ(proto.entries(0).sampling().seed(), 3u);
}

TEST(CoreCodec, ARetryTimeIsNeverRoundedToZero) {
  EXPECT_EQ(ToProto(core::Rejected{.id = 1, .retry_after = 1}).retry_after_ms(), 1u);
  EXPECT_EQ(ToProto(core::Rejected{.id = 1, .retry_after = 0}).retry_after_ms(), 0u);
}

TEST(CoreCodec, OnlyPartsThatDifferAreNamed) {
  const std::string difference = FingerprintDifference("model=a;dtype=bf16", "model=a;dtype=fp32");
  EXPECT_THAT(difference, HasSubstr("dtype=bf16"));
  EXPECT_THAT(difference, HasSubstr("dtype=fp32"));
  EXPECT_THAT(difference, testing::Not(HasSubstr("model")));
}

TEST(CoreCodec, PromptLogprobsThatDoNotFitAreRefused) {
  v1::StepDone done;
  for (int i = 0; i < 2; ++i) {
    done.add_statuses(v1::ROW_STATUS_OK);
    done.add_num_tokens(0);
  }
  v1::RowPromptLogprobs& row = *done.add_prompt_logprobs();
  row.set_row(1);
  row.mutable_logprobs()->add_logprobs(-1);
  EXPECT_FALSE(FromProto(done).ok());
  row.mutable_logprobs()->add_ranks(1);
  EXPECT_EQ(FromProto(done)->prompt_logprobs.size(), 1u);
  row.mutable_logprobs()->set_num_top(1);
  EXPECT_FALSE(FromProto(done).ok());
  row.mutable_logprobs()->add_top_tokens(1);
  row.mutable_logprobs()->add_top_logprobs(-1);
  EXPECT_TRUE(FromProto(done).ok());
  done.add_prompt_logprobs()->set_row(1);  // a second of that row
  EXPECT_FALSE(FromProto(done).ok());
}

}  // namespace
}  // namespace weft::scheduler
