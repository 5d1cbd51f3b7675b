#include "cli/eval/transcript.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace weft::eval {
namespace {

const Prompt& R1() { return *FindPrompt("r1"); }
const Prompt& Chat() { return *FindPrompt("chat"); }

Transcript Judged(Transcript t, const Prompt& prompt) {
  t.reference = "42";
  Judge(t, prompt);
  return t;
}

TEST(Judge, ThinkingApartOrInTheContent) {
  const Transcript apart =
      Judged({.reasoning = "\\boxed{7}?", .content = "\\boxed{42}", .finish_reason = "stop"}, R1());
  EXPECT_EQ(apart.outcome, Outcome::kRight);
  const Transcript within =
      Judged({.content = "<think>\\boxed{7}?</think>\\boxed{42}", .finish_reason = "stop"}, R1());
  EXPECT_EQ(within.outcome, Outcome::kRight);
  EXPECT_EQ(within.reasoning, "\\boxed{7}?");
  EXPECT_EQ(within.content, "\\boxed{42}");
  // A template that opens the thinking itself leaves the end alone.
  EXPECT_EQ(Judged({.content = "\\boxed{7}?</think>\\boxed{42}"}, R1()).outcome, Outcome::kRight);
}

TEST(Judge, ThinkingThatIsCutOffIsCountedApart) {
  const auto cut = [](Transcript t, const Prompt& prompt) {
    t.finish_reason = "length";
    return Judged(std::move(t), prompt).outcome;
  };
  EXPECT_EQ(cut({.reasoning = "\\boxed{42}"}, R1()), Outcome::kTruncated);
  EXPECT_EQ(cut({.content = "<think> \\boxed{42}"}, Chat()), Outcome::kTruncated);
  EXPECT_EQ(cut({.content = "so \\boxed{42}"}, R1()), Outcome::kTruncated) << "never closed";
  EXPECT_EQ(cut({.content = "so \\boxed{42}"}, Chat()), Outcome::kRight) << "it does not think";
  EXPECT_EQ(cut({.reasoning = "x", .content = "\\boxed{42} and"}, R1()), Outcome::kRight);
}

TEST(Judge, WhatEndsWithoutAnAnswerIsWrong) {
  const Transcript t = Judged({.reasoning = "\\boxed{42}", .finish_reason = "stop"}, R1());
  EXPECT_EQ(t.outcome, Outcome::kWrong);
  EXPECT_EQ(t.why, "nothing behind the thinking");
  EXPECT_EQ(Judged({.content = "No idea."}, Chat()).why, "no answer");
}

TEST(Transcript, IsTheSameAfterReading) {
  const Transcript t = Judged({.id = "a",
                               .seed = 3,
                               .question = "\"\n</script>",
                               .content = "\\boxed{42}",
                               .finish_reason = "stop",
                               .num_tokens = 9,
                               .seconds = 0.5},
                              Chat());
  const std::string line = boost::json::serialize(ToJson(t));
  const auto read = ParseTranscript(line);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(boost::json::serialize(ToJson(*read)), line);
  EXPECT_FALSE(ParseTranscript("{}").ok());
}

}  // namespace
}  // namespace weft::eval
