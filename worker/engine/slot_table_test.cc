#include "worker/engine/slot_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft::worker {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr BackendLimits kLimits = {.num_blocks = 20,
                                   .max_rows = 3,
                                   .max_step_tokens = 64,
                                   .max_context_tokens = 100,
                                   .vocab_size = 50};

std::vector<TokenId> Tokens(int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(i % 50);
  return tokens;
}

SlotEntry Entry(int slot, int num_tokens, int num_computed = 0, std::vector<int> blocks = {}) {
  return {.slot = slot,
          .tokens = Tokens(num_tokens),
          .num_prompt_tokens = num_tokens,
          .num_computed_tokens = num_computed,
          .blocks = std::move(blocks)};
}

RowResult Sampled(TokenId token) { return {.tokens = {token}}; }

class SlotTableTest : public ::testing::Test {
 protected:
  std::vector<StepRowPlan> Begin(const StepCommand& command) {
    auto rows = table_.Begin(command);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<StepRowPlan>{};
  }

  void ExpectRefused(const StepCommand& command, const char* why) {
    const auto before = Image();
    const auto rows = table_.Begin(command);
    EXPECT_EQ(rows.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(rows.status().message()), HasSubstr(why));
    EXPECT_EQ(Image(), before) << "a refused command changed the table: " << why;
  }

  // Everything a slot holds, to compare.
  std::string Image() const {
    std::string image = absl::StrCat(table_.num_used(), " used");
    for (int slot : used_) {
      const Slot& s = table_.slot(slot);
      absl::StrAppend(&image, "; slot ", slot, ": ", s.num_computed_tokens, " computed of ",
                      absl::StrJoin(s.tokens, " "), " in ", absl::StrJoin(s.blocks, " "));
    }
    return image;
  }

  SlotTable table_{kLimits};
  std::vector<int> used_;  // slots to look at
};

TEST_F(SlotTableTest, ASequenceGoesFromPromptToOutput) {
  auto rows = Begin(
      {.entries = {Entry(1, 20)}, .rows = {{.slot = 1, .num_tokens = 12, .new_blocks = {4}}}});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].first_position, 0);
  EXPECT_FALSE(rows[0].samples);
  table_.Finish(rows, {RowResult{}});

  rows = Begin({.rows = {{.slot = 1, .num_tokens = 8, .new_blocks = {9}}}});
  EXPECT_EQ(rows[0].first_position, 12);
  EXPECT_TRUE(rows[0].samples);
  table_.Finish(rows, {Sampled(42)});

  rows = Begin({.rows = {{.slot = 1, .num_tokens = 1}}});
  EXPECT_EQ(rows[0].first_position, 20);
  EXPECT_TRUE(rows[0].samples);
  const ops::HostBatch batch = MakeBatch(table_, rows);
  EXPECT_THAT(batch.token_ids, ElementsAre(42));
  EXPECT_THAT(batch.positions, ElementsAre(20));
  table_.Finish(rows, {Sampled(7)});
  EXPECT_EQ(table_.slot(1).tokens.back(), 7);
  EXPECT_EQ(table_.slot(1).sampling.num_output_tokens(), 2);

  EXPECT_THAT(Begin({.released_slots = {1}}), IsEmpty());
  EXPECT_EQ(table_.num_used(), 0);
}

TEST_F(SlotTableTest, StepsMayBeginBeforeThoseBeforeThemAreFinished) {
  std::vector<std::vector<StepRowPlan>> steps;
  steps.push_back(
      Begin({.entries = {Entry(0, 5)}, .rows = {{.slot = 0, .num_tokens = 5, .new_blocks = {2}}}}));
  steps.push_back(Begin({.rows = {{.slot = 0, .num_tokens = 1}}}));  // of the token owed
  EXPECT_EQ(steps[1][0].first_position, 5);
  EXPECT_TRUE(steps[1][0].samples);
  used_ = {0};
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 2}}}, "has 1 to compute");
  table_.Finish(steps[0], {Sampled(7)});
  table_.Finish(steps[1], {Sampled(8)});
  EXPECT_THAT(table_.slot(0).tokens, ElementsAre(_, _, _, _, _, 7, 8));
  EXPECT_EQ(table_.slot(0).num_owed_tokens, 0);
}

TEST_F(SlotTableTest, ASlotMayBeReleasedEnteredAndRunInOneCommand) {
  Begin({.entries = {Entry(0, 5)}});
  const auto rows = Begin({.released_slots = {0},
                           .entries = {Entry(0, 3)},
                           .rows = {{.slot = 0, .num_tokens = 3, .new_blocks = {0}}}});
  EXPECT_EQ(rows[0].num_tokens, 3);
  EXPECT_TRUE(rows[0].samples);
}

TEST_F(SlotTableTest, EntryWithComputedTokensStartsBehindThem) {
  SlotEntry entry = Entry(0, 40, 32, {5, 6});
  entry.num_prompt_tokens = 35;
  const auto rows =
      Begin({.entries = {entry}, .rows = {{.slot = 0, .num_tokens = 8, .new_blocks = {7}}}});
  EXPECT_EQ(rows[0].first_position, 32);
  EXPECT_TRUE(rows[0].samples);
  EXPECT_EQ(table_.slot(0).sampling.num_output_tokens(), 5);
}

TEST_F(SlotTableTest, BatchPutsRowsOneAfterAnother) {
  // slot 0: 18 tokens in blocks 3, 1; slot 2: position 16 of 17 in block 8, behind
  // computed block 5; only slot 2 reaches its last token.
  const auto rows = Begin({.entries = {Entry(0, 30), Entry(2, 17, 16, {5})},
                           .rows = {{.slot = 0, .num_tokens = 18, .new_blocks = {3, 1}},
                                    {.slot = 2, .num_tokens = 1, .new_blocks = {8}}}});
  const ops::HostBatch batch = MakeBatch(table_, rows);
  EXPECT_EQ(batch.num_tokens(), 19);
  EXPECT_EQ(batch.num_rows(), 2);
  EXPECT_THAT(batch.row_starts, ElementsAre(0, 18, 19));
  EXPECT_THAT(batch.block_starts, ElementsAre(0, 2));
  EXPECT_THAT(batch.blocks, ElementsAre(3, 1, 5, 8));
  EXPECT_EQ(batch.positions[17], 17);
  EXPECT_EQ(batch.positions[18], 16);
  EXPECT_THAT(batch.logit_tokens, ElementsAre(18));
}

TEST_F(SlotTableTest, BrokenCommandsAreRefusedWhole) {
  const auto rows = Begin(
      {.entries = {Entry(0, 20)}, .rows = {{.slot = 0, .num_tokens = 16, .new_blocks = {2}}}});
  table_.Finish(rows, {RowResult{}});
  used_ = {0};

  ExpectRefused({.released_slots = {1}}, "not in use");
  ExpectRefused({.released_slots = {-1}}, "not in use");
  ExpectRefused({.released_slots = {3}}, "not in use");
  ExpectRefused({.released_slots = {0, 0}}, "not in use");
  ExpectRefused({.released_slots = {0}, .entries = {Entry(1, 3), Entry(1, 3)}}, "in use");
  ExpectRefused({.entries = {Entry(0, 3)}}, "in use");
  ExpectRefused({.entries = {Entry(3, 3)}}, "does not exist");
  ExpectRefused({.entries = {Entry(-1, 3)}}, "does not exist");
  ExpectRefused({.entries = {Entry(1, 0)}}, "no tokens");
  ExpectRefused({.entries = {Entry(1, 101)}}, "context holds 100");
  ExpectRefused({.entries = {Entry(1, 3, 3, {1})}}, "3 computed tokens of 3");
  ExpectRefused({.entries = {Entry(1, 3, -1)}}, "computed");
  ExpectRefused({.entries = {Entry(1, 20, 17, {1})}}, "17 computed tokens in 1 blocks");
  ExpectRefused({.entries = {Entry(1, 20, 16, {20})}}, "block 20 does not exist");
  ExpectRefused({.entries = {Entry(1, 20, 16, {-1})}}, "block -1");

  SlotEntry entry = Entry(1, 3);
  entry.tokens[1] = 50;
  ExpectRefused({.entries = {entry}}, "token 50");
  entry.tokens[1] = -1;
  ExpectRefused({.entries = {entry}}, "token -1");
  entry = Entry(1, 3);
  entry.num_prompt_tokens = 4;
  ExpectRefused({.entries = {entry}}, "4 prompt tokens");
  entry.num_prompt_tokens = 0;
  ExpectRefused({.entries = {entry}}, "0 prompt tokens");
  entry = Entry(1, 3);
  entry.sampling.stop_token_ids = {50};
  ExpectRefused({.entries = {entry}}, "stop_token_ids");
  entry.sampling = {.temperature = std::nanf("")};
  ExpectRefused({.entries = {entry}}, "temperature");

  ExpectRefused({.rows = {{.slot = 1, .num_tokens = 1}}}, "not in use");
  ExpectRefused({.rows = {{.slot = 7, .num_tokens = 1}}}, "not in use");
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 0, .new_blocks = {3}}}}, "0 tokens");
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 5, .new_blocks = {3}}}}, "has 4 to compute");
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 4}}}, "20 tokens into 1 blocks");
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 4, .new_blocks = {20}}}}, "block 20");
  ExpectRefused(
      {.rows = {{.slot = 0, .num_tokens = 1, .new_blocks = {3}}, {.slot = 0, .num_tokens = 1}}},
      "two rows for slot 0");
  ExpectRefused({.released_slots = {0}, .rows = {{.slot = 0, .num_tokens = 1}}}, "not in use");
  ExpectRefused({.entries = {Entry(1, 5)},
                 .rows = {{.slot = 0, .num_tokens = 1, .new_blocks = {3}},
                          {.slot = 1, .num_tokens = 5, .new_blocks = {3}}}},
                "block 3 would be written");
  // Seven blocks hold the context of 100.
  ExpectRefused({.entries = {Entry(1, 5, 0, {1, 2, 3, 4, 5, 6, 7, 8})}}, "8 blocks; the context");
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 4, .new_blocks = {3, 4, 5, 6, 7, 8, 9}}}},
                "20 tokens in 8 blocks; the context holds 100");
  ExpectRefused({.entries = {Entry(1, 70)},
                 .rows = {{.slot = 1, .num_tokens = 65, .new_blocks = {3, 4, 5, 6, 7}}}},
                "a step of 65 tokens; at most 64");

  // And it goes on as if nothing had been.
  const auto next = Begin({.rows = {{.slot = 0, .num_tokens = 4, .new_blocks = {3}}}});
  EXPECT_TRUE(next[0].samples);
}

TEST_F(SlotTableTest, NothingIsComputedBehindTheContext) {
  const auto rows = Begin({.entries = {Entry(0, 100, 96, {0, 1, 2, 3, 4, 5})},
                           .rows = {{.slot = 0, .num_tokens = 4, .new_blocks = {6}}}});
  EXPECT_TRUE(rows[0].samples);  // the last token that fits, not to be computed
  ExpectRefused({.rows = {{.slot = 0, .num_tokens = 1}}}, "101 tokens in 7 blocks");
}

TEST_F(SlotTableTest, SharedPrefixBlocksMayBeReadByManyRows) {
  const auto rows = Begin({.entries = {Entry(0, 20, 16, {5}), Entry(1, 20, 16, {5})},
                           .rows = {{.slot = 0, .num_tokens = 4, .new_blocks = {6}},
                                    {.slot = 1, .num_tokens = 4, .new_blocks = {7}}}});
  EXPECT_EQ(rows.size(), 2u);
}

TEST_F(SlotTableTest, ResetEmptiesEverySlot) {
  Begin({.entries = {Entry(0, 5), Entry(1, 5), Entry(2, 5)}});
  EXPECT_EQ(table_.num_used(), 3);
  table_.Reset();
  EXPECT_EQ(table_.num_used(), 0);
  Begin({.entries = {Entry(0, 5)}});
}

// Any numbers whatever: nothing but a Status.
TEST_F(SlotTableTest, RandomCommandsNeverBreakIt) {
  const uint32_t seed = 1;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto number = [&](int low, int high) {
    return low + static_cast<int>(random() % (high - low + 1));
  };
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    StepCommand command;
    for (int n = number(0, 1); n > 0; --n) command.released_slots.push_back(number(-1, 3));
    for (int n = number(0, 1); n > 0; --n) {
      SlotEntry entry = Entry(number(-1, 3), number(0, 40), number(-1, 20));
      for (int b = number(0, 3); b > 0; --b) entry.blocks.push_back(number(-1, 20));
      command.entries.push_back(entry);
    }
    for (int n = number(0, 2); n > 0; --n) {
      StepRow row = {.slot = number(-1, 3), .num_tokens = number(-1, 30)};
      for (int b = number(0, 2); b > 0; --b) row.new_blocks.push_back(number(-1, 20));
      command.rows.push_back(row);
    }
    const auto rows = table_.Begin(command);
    if (!rows.ok()) continue;
    const ops::HostBatch batch = MakeBatch(table_, *rows);
    EXPECT_LE(batch.num_tokens(), kLimits.max_step_tokens);
    std::vector<RowResult> results(rows->size());
    for (size_t r = 0; r < rows->size(); ++r) {
      if ((*rows)[r].samples) results[r] = Sampled(number(0, 49));
    }
    table_.Finish(*rows, results);
    accepted += !rows->empty();
  }
  EXPECT_GT(accepted, 50);
}

TEST_F(SlotTableTest, PromptLogprobsAreOfEveryPromptTokenButTheFirst) {
  SlotEntry entry = Entry(0, 20);
  entry.sampling.num_prompt_logprobs = 0;
  // Tokens 0..11 tell of 1..12; 12..18 of 13..19; 19 of the first output.
  auto rows =
      Begin({.entries = {entry}, .rows = {{.slot = 0, .num_tokens = 12, .new_blocks = {4}}}});
  EXPECT_EQ(rows[0].num_prompt_logprobs, 12);
  rows = Begin({.rows = {{.slot = 0, .num_tokens = 8, .new_blocks = {9}}}});
  EXPECT_EQ(rows[0].num_prompt_logprobs, 7);
  rows = Begin({.rows = {{.slot = 0, .num_tokens = 1}}});
  EXPECT_EQ(rows[0].num_prompt_logprobs, 0);
}

TEST_F(SlotTableTest, ASequenceThatEntersWithOutputWantsNoPromptLogprobs) {
  SlotEntry entry = Entry(0, 20);
  entry.sampling.num_prompt_logprobs = 3;
  entry.num_prompt_tokens = 19;
  const auto rows =
      Begin({.entries = {entry}, .rows = {{.slot = 0, .num_tokens = 20, .new_blocks = {4, 5}}}});
  EXPECT_EQ(rows[0].num_prompt_logprobs, 0);
}

}  // namespace
}  // namespace weft::worker
