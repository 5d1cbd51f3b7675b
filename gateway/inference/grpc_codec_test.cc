#include "gateway/inference/grpc_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "gateway/inference/service.h"

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A message as protobuf's JSON has it.
template <typename Message>
Message Parse(const std::string& json) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return message;
}

Request ReadChat(const std::string& json) {
  auto request = ReadRequest(Parse<v1::ChatRequest>(json));
  EXPECT_TRUE(request.ok()) << request.status();
  return request.ok() ? *std::move(request) : Request();
}

const ChatPrompt& ChatOf(const Request& request) { return std::get<ChatPrompt>(request.prompt); }

std::optional<Grammar> GrammarOf(const std::string& options) {
  return ReadChat(R"({"options": )" + options + "}").options.grammar;
}

// "field: message" of what is wrong with it.
std::string ErrorOf(const std::string& json) {
  const auto request = ReadRequest(Parse<v1::ChatRequest>(json));
  EXPECT_TRUE(absl::IsInvalidArgument(request.status())) << request.status();
  const auto field = request.status().GetPayload(kParamPayload);
  return absl::StrCat(field ? std::string(*field) : "", ": ", request.status().message());
}

TEST(GrpcCodec, ToolsAreDefinedAsTemplatesKnowThem) {
  const Request request = ReadChat(R"({"tools": [
    {"name": "add", "description": "Adds \"two\"", "parameters": "{\"b\": 1, \"a\": 2}",
     "strict": true},
    {"name": "now"}]})");
  const std::vector<Tool>& tools = ChatOf(request).tools.tools;
  ASSERT_EQ(tools.size(), 2u);
  EXPECT_EQ(tools[0].name, "add");
  EXPECT_EQ(tools[0].parameters, R"({"b": 1, "a": 2})");
  EXPECT_EQ(tools[0].definition,
            R"({"type":"function","function":{"name":"add","description":"Adds \"two\"",)"
            R"("parameters":{"b": 1, "a": 2},"strict":true}})");
  EXPECT_EQ(tools[1].parameters, "");
  EXPECT_EQ(tools[1].definition, R"({"type":"function","function":{"name":"now"}})");
  EXPECT_EQ(ChatOf(request).tools.choice, ToolChoice::kAuto);
  EXPECT_TRUE(ChatOf(request).tools.parallel);
}

TEST(GrpcCodec, ToolChoices) {
  const auto choice = [](const std::string& json) {
    return ChatOf(ReadChat(R"({"tool_choice": )" + json + "}")).tools;
  };
  EXPECT_EQ(choice(R"({})").choice, ToolChoice::kAuto);
  EXPECT_EQ(choice(R"({"mode": "MODE_NONE"})").choice, ToolChoice::kNone);
  EXPECT_EQ(choice(R"({"mode": "MODE_REQUIRED"})").choice, ToolChoice::kRequired);
  const ToolOptions named = choice(R"({"mode": "MODE_NAMED", "name": "add"})");
  EXPECT_EQ(named.choice, ToolChoice::kNamed);
  EXPECT_EQ(named.name, "add");
  EXPECT_FALSE(ChatOf(ReadChat(R"({"parallel_tool_calls": false})")).tools.parallel);
}

TEST(GrpcCodec, WrongToolsNameTheirField) {
  EXPECT_THAT(ErrorOf(R"({"tools": [{"name": "a"}, {}]})"), HasSubstr("tools[1].name: "));
  EXPECT_THAT(ErrorOf(R"({"tools": [{"name": "a", "parameters": "{"}]})"),
              HasSubstr("tools[0].parameters: "));
  EXPECT_THAT(ErrorOf(R"({"tools": [{"name": "a", "parameters": "[]"}]})"),
              HasSubstr("tools[0].parameters: "));
  EXPECT_THAT(ErrorOf(R"({"tool_choice": {"mode": "MODE_NAMED"}})"),
              HasSubstr("tool_choice.name: "));
  EXPECT_THAT(ErrorOf(R"({"tool_choice": {"mode": "MODE_AUTO", "name": "a"}})"),
              HasSubstr("tool_choice.name: "));
  EXPECT_THAT(ErrorOf(R"({"tool_choice": {"mode": 9}})"), HasSubstr("tool_choice.mode: "));
}

TEST(GrpcCodec, AHistoryKeepsItsCallsAndTheirResults) {
  const Request request = ReadChat(R"({"messages": [
    {"role": "assistant", "reasoning_content": "hm",
     "tool_calls": [{"id": "call_1", "name": "add", "arguments": "{\"a\": 1}"}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "3"}]})");
  const auto& messages = ChatOf(request).messages;
  ASSERT_EQ(messages.size(), 2u);
  ASSERT_EQ(messages[0].tool_calls.size(), 1u);
  EXPECT_EQ(messages[0].tool_calls[0].id, "call_1");
  EXPECT_EQ(messages[0].tool_calls[0].name, "add");
  EXPECT_EQ(messages[0].tool_calls[0].arguments, R"({"a": 1})");
  EXPECT_EQ(messages[0].reasoning_content, "hm");
  EXPECT_EQ(messages[1].tool_call_id, "call_1");
}

TEST(GrpcCodec, EachStructuredOutputIsAGrammar) {
  const auto expect = [](const std::string& json, Grammar::Kind kind, const std::string& text) {
    const auto grammar = GrammarOf(json);
    ASSERT_TRUE(grammar) << json;
    EXPECT_EQ(grammar->kind, kind) << json;
    EXPECT_EQ(grammar->text, text) << json;
  };
  expect(R"({"json_object": true})", Grammar::Kind::kJsonObject, "");
  expect(R"({"json_schema": "{\"type\": \"object\"}"})", Grammar::Kind::kJsonSchema,
         R"({"type": "object"})");
  expect(R"({"regex": "[0-9]+"})", Grammar::Kind::kRegex, "[0-9]+");
  expect(R"({"choice": {"values": ["yes", "\"no\""]}})", Grammar::Kind::kChoice,
         R"(["yes","\"no\""])");
  expect(R"({"grammar": "start: \"a\""})", Grammar::Kind::kGrammar, R"(start: "a")");
  EXPECT_FALSE(GrammarOf("{}"));
  EXPECT_FALSE(GrammarOf(R"({"json_object": false})"));
}

TEST(GrpcCodec, HowAConversationIsRendered) {
  const ChatPrompt plain = ChatOf(ReadChat("{}"));
  EXPECT_TRUE(plain.render.add_generation_prompt);
  EXPECT_EQ(plain.render.variables, "");
  EXPECT_EQ(plain.reasoning_effort, "");

  const ChatPrompt prompt = ChatOf(ReadChat(
      R"({"continue_final_message": true, "reasoning_effort": "low",
          "template_variables": {"enable_thinking": false}})"));
  EXPECT_TRUE(prompt.render.continue_final_message);
  EXPECT_FALSE(prompt.render.add_generation_prompt);
  EXPECT_EQ(prompt.render.variables, R"({"enable_thinking":false})");
  EXPECT_EQ(prompt.reasoning_effort, "low");
  // Both is a contradiction, for the service to name.
  EXPECT_TRUE(ChatOf(ReadChat(R"({"continue_final_message": true, "add_generation_prompt": true})"))
                  .render.add_generation_prompt);
}

TEST(GrpcCodec, TokenizeTakesAWholeConversation) {
  const auto request = ReadRequest(Parse<v1::TokenizeRequest>(
      R"({"chat": {"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "now"}],
                   "add_generation_prompt": false}})"));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(ChatOf(*request).tools.tools[0].name, "now");
  EXPECT_FALSE(ChatOf(*request).render.add_generation_prompt);
  EXPECT_FALSE(ReadRequest(Parse<v1::TokenizeRequest>(R"({"chat": {"tools": [{}]}})")).ok());
}

TEST(GrpcCodec, DeltasOfACallAddUp) {
  v1::ChatResponse response;
  WriteEvent(Delta{.tool_calls = {{.call = 0, .id = "call_1", .name = "add"},
                                  {.call = 0, .arguments = "{\"a\""}}},
             response);
  WriteEvent(Delta{.tool_calls = {{.call = 0, .arguments = ":1}"},
                                  {.call = 1, .id = "call_2", .name = "now", .arguments = "{}"}}},
             response);
  WriteEvent(ChoiceFinished{.reason = FinishReason::kToolCalls}, response);
  ASSERT_EQ(response.choices_size(), 1);
  const auto& calls = response.choices(0).message().tool_calls();
  ASSERT_EQ(calls.size(), 2);
  EXPECT_EQ(calls[0].id(), "call_1");
  EXPECT_EQ(calls[0].name(), "add");
  EXPECT_EQ(calls[0].arguments(), R"({"a":1})");
  EXPECT_EQ(calls[1].index(), 1u);
  EXPECT_EQ(calls[1].arguments(), "{}");
  EXPECT_EQ(response.choices(0).finish_reason(), "tool_calls");
}

TEST(GrpcCodec, AChunkHasOnlyWhatIsNewOfACall) {
  v1::ChatChunk chunk;
  WriteEvent(Delta{.index = 2, .tool_calls = {{.call = 3, .arguments = "1"}}}, chunk);
  ASSERT_EQ(chunk.choices_size(), 1);
  EXPECT_EQ(chunk.choices(0).index(), 2u);
  ASSERT_EQ(chunk.choices(0).message().tool_calls_size(), 1);
  EXPECT_EQ(chunk.choices(0).message().tool_calls(0).index(), 3u);
  EXPECT_EQ(chunk.choices(0).message().tool_calls(0).id(), "");
  EXPECT_EQ(chunk.choices(0).message().tool_calls(0).arguments(), "1");
}

TEST(GrpcCodec, TokenIdsFollowEachOther) {
  v1::CompletionChunk chunk;
  WriteEvent(Delta{.token_ids = {5, 6}}, chunk);
  WriteEvent(Delta{.index = 1, .token_ids = {9}}, chunk);
  WriteEvent(Delta{.token_ids = {7}}, chunk);
  ASSERT_EQ(chunk.choices_size(), 2);
  EXPECT_THAT(chunk.choices(0).token_ids(), ElementsAre(5, 6, 7));
  EXPECT_THAT(chunk.choices(1).token_ids(), ElementsAre(9));
}

}  // namespace
}  // namespace weft::gateway
