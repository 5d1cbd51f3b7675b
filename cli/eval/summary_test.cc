#include "cli/eval/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

Transcript Of(const char* id, int seed, const char* answer, const char* reference) {
  Transcript t = {.id = id,
                  .seed = seed,
                  .reference = reference,
                  .content = std::string("\\boxed{") + answer + "}",
                  .finish_reason = "stop",
                  .num_tokens = 10,
                  .seconds = 2};
  Judge(t, *FindPrompt("chat"));
  return t;
}

TEST(Summary, CountsAndCosts) {
  Transcript cut = {.id = "c", .reasoning = "…", .finish_reason = "length", .num_tokens = 100};
  Judge(cut, *FindPrompt("r1"));
  const Summary summary = Summarize({Of("a", 0, "1", "1"), Of("b", 0, "2", "1"), cut});
  EXPECT_EQ(summary.num_problems, 3);
  EXPECT_EQ(summary.num_right, 1);
  EXPECT_EQ(summary.num_truncated, 1);
  EXPECT_DOUBLE_EQ(summary.accuracy.mean, 1.0 / 3);
  EXPECT_DOUBLE_EQ(summary.tokens_per_correct, 120);
  EXPECT_DOUBLE_EQ(summary.seconds_per_correct, 4);
  EXPECT_THAT(Table(summary), HasSubstr("33.3% +- 33.3"));
  EXPECT_THAT(Table(summary), HasSubstr("6.1% to 79.2%"));
  EXPECT_THAT(Table(summary), Not(HasSubstr("maj@")));
}

TEST(Summary, TheMajorityIsOfEqualAnswersNotOfEqualTexts) {
  // Two halves beat a third that is written twice the same.
  const Summary summary = Summarize(
      {Of("a", 0, "1/3", "0.5"), Of("a", 1, "\\frac12", "0.5"), Of("a", 2, "0.5", "0.5")});
  EXPECT_DOUBLE_EQ(summary.accuracy.mean, 2.0 / 3);
  EXPECT_DOUBLE_EQ(summary.majority.mean, 1);
  EXPECT_THAT(Table(summary), HasSubstr("maj@3"));
}

TEST(Summary, AmongEqualsTheEarliestSeedsAnswerIsTaken) {
  EXPECT_DOUBLE_EQ(Summarize({Of("a", 1, "2", "2"), Of("a", 0, "1", "2")}).majority.mean, 0);
  EXPECT_DOUBLE_EQ(Summarize({Of("a", 1, "1", "2"), Of("a", 0, "2", "2")}).majority.mean, 1);
}

TEST(Summary, OfNothing) { EXPECT_EQ(Summarize({}).accuracy.mean, 0); }

TEST(Page, NothingThatAModelWroteIsMarkup) {
  const std::string page =
      Page({{"model", "m"}}, {Of("a", 0, "</script><script>alert(1)</script>", "1")});
  EXPECT_THAT(page, HasSubstr("\\u003c/script>"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("__RUN__")));
}

}  // namespace
}  // namespace weft::eval
