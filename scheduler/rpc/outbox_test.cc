#include "scheduler/rpc/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"

namespace weft::scheduler {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<TokenId>;

v1::Finished End(uint32_t handle) {
  v1::Finished finished;
  finished.set_handle(handle);
  finished.set_reason(v1::FINISH_REASON_LENGTH);
  return finished;
}

TEST(Outbox, NothingToSayIsNoFrame) {
  Outbox outbox;
  v1::SchedulerFrame frame;
  EXPECT_FALSE(outbox.Take(1, frame));
}

TEST(Outbox, StepsThatWaitAreMergedIntoOneEntryPerSequence) {
  Outbox outbox;
  // step 1: handles 4 and 9.  step 2: 4 again, two tokens.  step 3: 9.
  outbox.AddTokens(4, 0, Ids{10});
  outbox.AddTokens(9, 7, Ids{20});
  outbox.AddTokens(4, 1, Ids{11, 12});
  outbox.AddTokens(9, 8, Ids{21});
  outbox.AddFinished(End(4));
  v1::SchedulerFrame frame;
  ASSERT_TRUE(outbox.Take(77, frame));
  EXPECT_EQ(frame.epoch(), 77u);
  EXPECT_THAT(frame.tokens().handles(), ElementsAre(4, 9));
  EXPECT_THAT(frame.tokens().first_indexes(), ElementsAre(0, 7));
  EXPECT_THAT(frame.tokens().counts(), ElementsAre(3, 2));
  EXPECT_THAT(frame.tokens().tokens(), ElementsAre(10, 11, 12, 20, 21));
  ASSERT_EQ(frame.finished_size(), 1);
  EXPECT_EQ(frame.finished(0).handle(), 4u);
}

TEST(Outbox, WhatWasTakenIsNotSentTwice) {
  Outbox outbox;
  outbox.AddTokens(1, 0, Ids{5, 6});
  outbox.SetWelcome();
  outbox.SetLoad({});
  v1::SchedulerFrame frame;
  ASSERT_TRUE(outbox.Take(1, frame));
  EXPECT_TRUE(frame.has_welcome());
  EXPECT_EQ(outbox.num_bytes(), 0u);
  EXPECT_FALSE(outbox.Take(1, frame));
  outbox.AddTokens(1, 2, Ids{7});
  ASSERT_TRUE(outbox.Take(1, frame));
  EXPECT_FALSE(frame.has_welcome());
  EXPECT_THAT(frame.tokens().first_indexes(), ElementsAre(2));
  EXPECT_THAT(frame.tokens().tokens(), ElementsAre(7));
}

TEST(Outbox, LogprobsFollowTheirTokensWhenMerged) {
  auto logprob = [](float value) {
    v1::TokenLogprobs l;
    l.set_logprob(value);
    return std::vector<v1::TokenLogprobs>{l};
  };
  Outbox outbox;
  outbox.AddTokens(1, 0, Ids{5}, logprob(-1));
  outbox.AddTokens(2, 0, Ids{6});
  outbox.AddTokens(3, 0, Ids{7}, logprob(-3));
  outbox.AddTokens(1, 1, Ids{8}, logprob(-2));
  v1::SchedulerFrame frame;
  ASSERT_TRUE(outbox.Take(1, frame));
  EXPECT_THAT(frame.tokens().tokens(), ElementsAre(5, 8, 6, 7));
  ASSERT_EQ(frame.tokens().logprobs_size(), 3);
  EXPECT_EQ(frame.tokens().logprobs(0).logprob(), -1);
  EXPECT_EQ(frame.tokens().logprobs(1).logprob(), -2);
  EXPECT_EQ(frame.tokens().logprobs(2).logprob(), -3);
}

TEST(Outbox, OnlyTheLatestLoadCounts) {
  Outbox outbox;
  v1::Load load;
  load.set_num_running(1);
  outbox.SetLoad(load);
  load.set_num_running(2);
  outbox.SetLoad(load);
  v1::SchedulerFrame frame;
  ASSERT_TRUE(outbox.Take(1, frame));
  EXPECT_EQ(frame.load().num_running(), 2u);
}

TEST(Outbox, BytesBoundTheFrame) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  Outbox outbox;
  v1::SchedulerFrame frame;
  for (int round = 0; round < 50; ++round) {
    std::vector<uint32_t> next(20, 0);
    for (int step = 0; step < 20; ++step) {
      for (uint32_t handle = 0; handle < next.size(); ++handle) {
        if (random() % 2 == 0) continue;
        outbox.AddTokens(handle, next[handle], Ids{static_cast<TokenId>(random() % 150000)});
        ++next[handle];
      }
    }
    const size_t bound = outbox.num_bytes();
    if (!outbox.Take(1, frame)) continue;
    EXPECT_LE(frame.ByteSizeLong(), bound + 64);  // epoch, tags and lengths
    EXPECT_GE(frame.ByteSizeLong() * 8, bound);   // and no more than so much off
  }
}

TEST(Outbox, PromptLogprobsKeepTheirOrderAndCountAgainstTheBound) {
  Outbox outbox;
  for (uint32_t first : {1u, 65u}) {
    v1::PromptLogprobs logprobs;
    logprobs.set_first_position(first);
    for (int i = 0; i < 64; ++i) logprobs.add_logprobs(-1);
    outbox.AddPromptLogprobs(4, std::move(logprobs));
  }
  EXPECT_FALSE(outbox.empty());
  EXPECT_GT(outbox.num_bytes(), 2u * 64 * sizeof(float));
  v1::SchedulerFrame frame;
  ASSERT_TRUE(outbox.Take(1, frame));
  ASSERT_EQ(frame.prompt_logprobs_size(), 2);
  EXPECT_EQ(frame.prompt_logprobs(0).handle(), 4u);
  EXPECT_EQ(frame.prompt_logprobs(0).logprobs().first_position(), 1u);
  EXPECT_EQ(frame.prompt_logprobs(1).logprobs().first_position(), 65u);
  EXPECT_FALSE(outbox.Take(1, frame));
}

}  // namespace
}  // namespace weft::scheduler
