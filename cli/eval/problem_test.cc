#include "cli/eval/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/eval/datasets.h"
#include "cli/eval/grade.h"
#include "cli/eval/prompt.h"

namespace weft::eval {
namespace {

using testing::HasSubstr;

TEST(ParseProblems, FieldsOfTheDataSetsInUse) {
  const auto problems = ParseProblems(
      R"({"problem": "1+1?", "answer": "2", "unique_id": "a/1.json"}
{"question": "2+2?", "answer": "It is <<2+2=4>>4\n#### 1,004"}

{"id": 60, "problem": "3+3?", "answer": 6}
)",
      "x");
  ASSERT_TRUE(problems.ok()) << problems.status();
  ASSERT_EQ(problems->size(), 3u);
  EXPECT_EQ((*problems)[0].id, "a/1.json");
  EXPECT_EQ((*problems)[1].id, "1");
  EXPECT_EQ((*problems)[1].answer, "1,004");
  EXPECT_EQ((*problems)[2].id, "60");
  EXPECT_EQ((*problems)[2].answer, "6");
}

TEST(ParseProblems, WhatIsWrongIsSaidWithItsLine) {
  const auto error = [](const char* text) {
    return std::string(ParseProblems(text, "some.jsonl").status().message());
  };
  EXPECT_THAT(error("{}\n"), HasSubstr("some.jsonl, line 1: no problem"));
  EXPECT_THAT(error("\n[1]"), HasSubstr("line 2: no JSON object"));
  EXPECT_THAT(error(R"({"problem": "x"})"), HasSubstr("no answer"));
  EXPECT_THAT(error("{\"id\": 1, \"problem\": \"x\", \"answer\": 1}\n"
                    "{\"id\": \"1\", \"problem\": \"y\", \"answer\": 2}"),
              HasSubstr("the id 1 is there twice"));
  EXPECT_THAT(error(""), HasSubstr("no problems"));
}

TEST(LoadDataset, TheOneThatShipsIsWhole) {
  const cli::Interrupts interrupts;
  const auto dataset = LoadDataset("weft", "", interrupts);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->problems.size(), 200u);
  for (const Problem& problem : dataset->problems) {
    EXPECT_TRUE(Grade(problem.answer + ".0", problem.answer).is_right) << problem.answer;
  }
}

TEST(LoadDataset, AnUnknownNameIsRefusedWithTheNearest) {
  const cli::Interrupts interrupts;
  EXPECT_THAT(std::string(LoadDataset("gsm8", "", interrupts).status().message()),
              HasSubstr("did you mean gsm8k?"));
}

TEST(Prompt, IsChosenByTheModelsName) {
  EXPECT_EQ(PromptForModel("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B").name, "r1");
  EXPECT_EQ(PromptForModel("weft-demo-r1").name, "r1");
  EXPECT_EQ(PromptForModel("Qwen/Qwen2.5-Math-1.5B-Instruct").name, "qwen-math");
  EXPECT_EQ(PromptForModel("gpt-4o").name, "chat");
}

TEST(Prompt, R1HasNoSystemMessage) {
  EXPECT_EQ(Messages(*FindPrompt("r1"), "Q").size(), 1u);
  EXPECT_EQ(Messages(*FindPrompt("qwen-math"), "Q").size(), 2u);
}

}  // namespace
}  // namespace weft::eval
