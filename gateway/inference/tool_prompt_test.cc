#include "gateway/inference/tool_prompt.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr text::ToolSupport kAll{true, true, true, true};
constexpr text::ToolSupport kNone{};

ChatPrompt Conversation() {
  ChatPrompt prompt;
  prompt.messages = {
      {.role = "user", .content = "Weather?"},
      {.role = "assistant",
       .content = "I look.",
       .tool_calls = {{.id = "1", .name = "look", .arguments = R"({"at": "Bern"})"},
                      {.id = "2", .name = "look", .arguments = R"({"at": "Basel"})"}}},
      {.role = "tool", .content = "sun", .tool_call_id = "1"},
      {.role = "tool", .content = "rain", .tool_call_id = "2"},
      {.role = "user", .content = "And?"}};
  prompt.tools.tools = {{.definition = R"({"type": "function"})"}};
  return prompt;
}

TEST(WithTools, ATemplateThatWritesAllGetsAllAsItIs) {
  EXPECT_FALSE(DropsTools(Conversation(), kAll));
  EXPECT_TRUE(DropsTools(Conversation(), kNone));
  ChatPrompt plain;
  plain.messages = {{.role = "user", .content = "Weather?"}};
  EXPECT_FALSE(DropsTools(plain, kNone));
}

TEST(WithTools, WhatATemplateDropsIsSaidInMessages) {
  const auto messages = WithTools(Conversation(), kNone);
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_THAT(messages[0].content, HasSubstr(R"({"type": "function"})"));
  EXPECT_EQ(messages[2].content,
            "I look.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"Bern\"}}\n"
            "</tool_call>\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"Basel\"}}\n"
            "</tool_call>");
  EXPECT_TRUE(messages[2].tool_calls.empty());
  EXPECT_EQ(messages[3].role, "user");
  EXPECT_EQ(messages[3].content,
            "<tool_response>\nsun\n</tool_response>\n<tool_response>\nrain\n</tool_response>");
  EXPECT_EQ(messages[4].content, "And?");
}

TEST(WithTools, CallsThatTakeATurnWithoutContentGetOne) {
  const auto messages =
      WithTools(Conversation(), {.definitions = true, .calls = true, .results = true});
  ASSERT_EQ(messages.size(), 6u);
  EXPECT_EQ(messages[1].content, "I look.");
  EXPECT_TRUE(messages[1].tool_calls.empty());
  EXPECT_EQ(messages[2].content, "");
  EXPECT_EQ(messages[2].tool_calls.size(), 2u);
  EXPECT_EQ(messages[3].role, "tool");
}

TEST(WithTools, AMessageToBeContinuedStaysTheLast) {
  ChatPrompt prompt = Conversation();
  prompt.messages.resize(2);
  prompt.render.continue_final_message = true;
  const auto messages = WithTools(prompt, {.definitions = true, .calls = true, .results = true});
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages.back().content, "I look.");
}

TEST(WithTools, ASystemMessageIsAddedTo) {
  ChatPrompt prompt = Conversation();
  prompt.messages.insert(prompt.messages.begin(), {.role = "system", .content = "Be brief."});
  EXPECT_THAT(WithTools(prompt, kNone).front().content,
              StartsWith("Be brief.\n\nYou may call these functions"));
}

}  // namespace
}  // namespace weft::gateway
