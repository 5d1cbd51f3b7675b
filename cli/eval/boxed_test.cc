#include "cli/eval/boxed.h"

#include <gtest/gtest.h>

namespace weft::eval {
namespace {

TEST(LastBoxed, IsTheLast) { EXPECT_EQ(LastBoxed("\\boxed{1}, no: \\boxed{2}."), "2"); }

TEST(LastBoxed, MatchesBraces) {
  EXPECT_EQ(LastBoxed("so $\\boxed{\\frac{1}{\\sqrt{2}}}$."), "\\frac{1}{\\sqrt{2}}");
  EXPECT_EQ(LastBoxed("\\boxed{\\text{a } b}"), "\\text{a } b");
}

TEST(LastBoxed, AnEscapedBraceIsACharacter) {
  EXPECT_EQ(LastBoxed("\\boxed{\\{1, 2\\}}"), "\\{1, 2\\}");
  EXPECT_EQ(LastBoxed("\\boxed{\\left\\{ x}"), "\\left\\{ x");
}

TEST(LastBoxed, OneThatIsNotClosedDoesNotCount) {
  EXPECT_EQ(LastBoxed("\\boxed{12"), std::nullopt);
  EXPECT_EQ(LastBoxed("\\boxed{12} or \\boxed{\\frac{1}{2}"), "12");
}

TEST(LastBoxed, BracesAroundItDoNotMatter) {
  EXPECT_EQ(LastBoxed("{{ \\boxed{3} }"), "3");
  EXPECT_EQ(LastBoxed("}}} \\boxed{3}"), "3");
}

TEST(LastBoxed, OtherWaysToWriteIt) {
  EXPECT_EQ(LastBoxed("\\fbox{7}"), "7");
  EXPECT_EQ(LastBoxed("\\boxed {7}"), "7");
  EXPECT_EQ(LastBoxed("$\\boxed 7$"), "7");
  EXPECT_EQ(LastBoxed("\\boxed12"), "12");
  EXPECT_EQ(LastBoxed("\\boxed{\\boxed{7}}"), "7");
  EXPECT_EQ(LastBoxed("\\boxed{}"), "");
}

TEST(Extract, ABoxComesBeforeWhatIsStated) {
  const Extracted extracted = Extract("\\boxed{1}. The answer is 2.");
  EXPECT_EQ(extracted.found, Found::kBoxed);
  EXPECT_EQ(extracted.answer, "1");
}

TEST(Extract, WhatIsStated) {
  EXPECT_EQ(Extract("The answer is 3.5.").answer, "3.5");
  EXPECT_EQ(Extract("Final answer: $x^2$\nDone 7").answer, "x^2");
  EXPECT_EQ(Extract("**Answer:** 12").answer, "12");
  EXPECT_EQ(Extract("2 + 2 = 4\n#### 1,234").answer, "1,234");
  EXPECT_EQ(Extract("2 + 2 = 4\n#### 1,234").found, Found::kStated);
  EXPECT_EQ(Extract("#### Step 2\nSo the answer is 8.").answer, "8");
}

TEST(Extract, ElseTheLastNumber) {
  EXPECT_EQ(Extract("He has 3 and then 1,250.50 dollars.").answer, "1250.50");
  EXPECT_EQ(Extract("It is -7.").answer, "-7");
  EXPECT_EQ(Extract("pages 3-7").answer, "7");
  EXPECT_EQ(Extract("It is -7.").found, Found::kLastNumber);
}

TEST(Extract, OrNothing) { EXPECT_EQ(Extract("I do not know.").found, Found::kNowhere); }

}  // namespace
}  // namespace weft::eval
