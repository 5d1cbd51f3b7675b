#include "cli/bench/dataset.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Dataset Read(const std::string& text) { return Dataset::Parse("file", text).value(); }

std::string Error(const std::string& text) {
  return std::string(Dataset::Parse("file", text).status().message());
}

TEST(Dataset, ALineIsAQuestionUnderAnyOfItsNames) {
  const Dataset dataset = Read(
      "{\"prompt\": \"one \\\"1\\\"\", \"output_tokens\": 7}\n\n"
      "{\"question\": \"two\", \"answer\": \"2\"}\n"
      "{\"problem\": \"three\"}\n");
  ASSERT_EQ(dataset.size(), 3);
  EXPECT_EQ(dataset.at(2).prompt, "\"three\"");
  EXPECT_EQ(dataset.at(0).prompt, R"("one \"1\"")");
  EXPECT_EQ(dataset.at(0).num_output_tokens, 7);
  EXPECT_EQ(dataset.at(1).messages, R"({"role":"user","content":"two"})");
  EXPECT_EQ(dataset.at(1).num_output_tokens, 0);
  EXPECT_EQ(dataset.FirstConversation(), "");
}

TEST(Dataset, AConversationEndsWithItsLastQuestion) {
  const std::string expected =
      R"({"role":"system","content":"s"},{"role":"user","content":"a"},)"
      R"({"role":"assistant","content":"b"},{"role":"user","content":"c"})";
  const Dataset openai =
      Read(R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},)"
           R"({"role":"assistant","content":"b"},{"role":"user","content":"c"},)"
           R"({"role":"assistant","content":"left out"}]})");
  EXPECT_EQ(openai.at(0).messages, expected);
  EXPECT_EQ(openai.at(0).prompt, "");
  EXPECT_EQ(openai.FirstConversation(), "line 1");
  const Dataset share_gpt = Read(
      R"([{"id":"x","conversations":[{"from":"system","value":"s"},{"from":"human","value":"a"},)"
      R"({"from":"gpt","value":"b"},{"from":"human","value":"c"},{"from":"gpt","value":"d"}]}])");
  EXPECT_EQ(share_gpt.at(0).messages, expected);
  EXPECT_EQ(share_gpt.FirstConversation(), "entry 1");
}

TEST(Dataset, BeginsAgainAfterItsEnd) {
  const Dataset dataset = Read("{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n");
  EXPECT_EQ(dataset.at(2).prompt, "\"a\"");
  EXPECT_EQ(dataset.at(-1).prompt, "\"b\"");
  EXPECT_EQ(dataset.at(-2).prompt, "\"a\"");
}

TEST(Dataset, SaysWhereAndWhatIsWrong) {
  EXPECT_THAT(Error("{\"prompt\":\"a\"}\n{\"text\":\"b\"}"), StartsWith("file line 2: no prompt"));
  EXPECT_THAT(Error("{\"prompt\":3}"), HasSubstr("line 1: prompt"));
  EXPECT_THAT(Error("{\"prompt\":\"a\",\"output_tokens\":0}"), HasSubstr("output_tokens"));
  EXPECT_THAT(Error("{\"messages\":[{\"role\":\"user\"}]}"), HasSubstr("\"messages\": ["));
  EXPECT_THAT(Error("{\"messages\":[{\"role\":\"assistant\",\"content\":\"b\"}]}"),
              HasSubstr("no prompt"));
  EXPECT_THAT(Error("[3]"), StartsWith("file entry 1: no prompt"));
  EXPECT_THAT(Error("[{\"prompt\":\"a\"}"), HasSubstr("no JSON list"));
  EXPECT_THAT(Error("not json"), StartsWith("file line 1"));
  EXPECT_THAT(Error(" \n"), StartsWith("file line 1: no prompt"));
}

}  // namespace
}  // namespace weft::bench
