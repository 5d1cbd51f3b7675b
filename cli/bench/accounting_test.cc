#include "cli/bench/accounting.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

RequestRecord Answer(int num_events, int num_tokens) {
  return {.num_prompt_tokens = 5,
          .num_output_tokens = num_tokens,
          .num_text_events = num_events,
          .num_asked_tokens = 10,
          .num_prompt_ids = 5};
}

TEST(Account, EachAnswerIsOfOneKind) {
  RequestRecord silent = Answer(10, 10);
  silent.has_usage = false;
  silent.num_prompt_tokens = 0;
  const TokenAccount account =
      Account({Answer(10, 10), Answer(4, 10), Answer(3, 10), Answer(11, 10), silent});
  EXPECT_EQ(account.num_text_events, 38);
  EXPECT_EQ(account.num_equal, 1);
  EXPECT_EQ(account.num_fewer_events, 2);
  EXPECT_EQ(account.num_more_events, 1);
  EXPECT_EQ(account.num_without_usage, 1);
  EXPECT_EQ(account.num_shorter + account.num_longer + account.num_other_prompts, 0);
}

TEST(Account, HoldsLengthsAgainstWhatWasAsked) {
  RequestRecord text = Answer(10, 10), other = Answer(10, 10);
  text.num_prompt_ids = 0;
  text.num_prompt_tokens = 77;
  other.num_prompt_tokens = 6;
  const TokenAccount account = Account({Answer(9, 9), Answer(11, 11), text, other});
  EXPECT_EQ(account.num_shorter, 1);
  EXPECT_EQ(account.num_longer, 1);
  EXPECT_EQ(account.num_other_prompts, 1) << "nobody knows how many tokens a text is";
}

}  // namespace
}  // namespace weft::bench
