#include "gateway/openai/format.h"

#include <boost/json/parse.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/openai/chunks.h"
#include "gateway/openai/whole_answer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

using gateway::ChoiceFinished;
using gateway::Delta;
using gateway::FinishReason;
using gateway::TokenLogprob;
using ::testing::HasSubstr;
using ::testing::Not;
namespace json = boost::json;

const AnswerHead kHead{.id = "chatcmpl-1", .created = 17, .model = "m"};
constexpr char kChatOpening[] =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":17,"model":"m","choices":[)";
constexpr char kTextOpening[] =
    R"(data: {"id":"chatcmpl-1","object":"text_completion","created":17,"model":"m","choices":[)";

std::string ChatFrame(const std::string& choice) {
  return absl::StrCat(kChatOpening, choice, "]}\n\n");
}
std::string TextFrame(const std::string& choice) {
  return absl::StrCat(kTextOpening, choice, "]}\n\n");
}

const std::string kRole = ChatFrame(
    R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})");

std::unique_ptr<AnswerWriter> Stream(Endpoint endpoint, StreamOptions options = {},
                                     int num_choices = 1, std::vector<std::string> echo = {}) {
  const GenerationCall call = {.endpoint = endpoint,
                               .stream = true,
                               .include_usage = options.include_usage,
                               .continuous_usage = options.continuous_usage};
  return MakeAnswerWriter(call, kHead,
                          {.num_choices = num_choices,
                           .prompt_tokens = options.prompt_tokens,
                           .echo = std::move(echo)});
}

// " b" with its byte, and one more that it was chosen over.
std::vector<TokenLogprob> SomeLogprobs() {
  return {{.token = {.id = 1, .token = "b", .logprob = -0.5},
           .top = {{.id = 2, .token = "c\xff", .logprob = -0.25}, {1, "b", -0.5}}}};
}
constexpr char kSomeLogprobs[] =
    R"("logprobs":{"content":[{"token":"b","logprob":-0.5,"bytes":[98],"top_logprobs":[)"
    R"({"token":"c)"
    "\xEF\xBF\xBD"
    R"(","logprob":-0.25,"bytes":[99,255]},)"
    R"({"token":"b","logprob":-0.5,"bytes":[98]}]}],"refusal":null})";

TEST(ChatChunks, BytesOfAStream) {
  const auto chunks = Stream(Endpoint::kChat);
  std::string out;
  chunks->Delta(out, {.content = "Hi \"you\"\n", .num_tokens = 2});
  chunks->Delta(out, {.content = "\xc3\xa4", .num_tokens = 1});
  chunks->Finished(out, {.reason = FinishReason::kLength});
  chunks->Completed(out, {});
  EXPECT_EQ(
      out,
      kRole +
          ChatFrame(
              R"({"index":0,"delta":{"content":"Hi \"you\"\n"},"logprobs":null,"finish_reason":null})") +
          ChatFrame(R"({"index":0,"delta":{"content":"ä"},"logprobs":null,"finish_reason":null})") +
          ChatFrame(
              R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length","stop_reason":null})") +
          "data: [DONE]\n\n");
}

TEST(ChatChunks, ReasoningComesUnderBothNamesAndBeforeTheContent) {
  const auto chunks = Stream(Endpoint::kChat);
  std::string out;
  chunks->Delta(out, {.content = "b", .reasoning = "a", .num_tokens = 2});
  EXPECT_EQ(
      out,
      kRole +
          ChatFrame(
              R"({"index":0,"delta":{"reasoning_content":"a","reasoning":"a"},"logprobs":null,"finish_reason":null})") +
          ChatFrame(R"({"index":0,"delta":{"content":"b"},"logprobs":null,"finish_reason":null})"));
}

TEST(ChatChunks, TheRoleWaitsForTheFirstTokenOfEachChoice) {
  const auto chunks = Stream(Endpoint::kChat, {}, 2);
  std::string out;
  chunks->Delta(out, {.index = 0, .num_tokens = 1});  // held back: half a character
  EXPECT_EQ(out, kRole);
  out.clear();
  chunks->Delta(out, {.index = 0, .content = "x", .num_tokens = 1});
  EXPECT_THAT(out, Not(HasSubstr("role")));
  out.clear();
  chunks->Finished(out, {.index = 1});
  EXPECT_THAT(out, HasSubstr(R"({"index":1,"delta":{"role":"assistant")"));
}

TEST(ChatChunks, LogprobsStandOnceEvenWithoutText) {
  const auto chunks = Stream(Endpoint::kChat);
  std::string out;
  chunks->Delta(out, {.content = "b", .logprobs = SomeLogprobs(), .num_tokens = 1});
  EXPECT_EQ(out, kRole + ChatFrame(absl::StrCat(R"({"index":0,"delta":{"content":"b"},)",
                                                kSomeLogprobs, R"(,"finish_reason":null})")));
  out.clear();
  chunks->Delta(out, {.logprobs = SomeLogprobs(), .num_tokens = 1});
  EXPECT_EQ(out, ChatFrame(absl::StrCat(R"({"index":0,"delta":{"content":""},)", kSomeLogprobs,
                                        R"(,"finish_reason":null})")));
  out.clear();
  chunks->Delta(out, {.content = "b", .reasoning = "a", .logprobs = SomeLogprobs()});
  EXPECT_EQ(out.find("top_logprobs"), out.rfind("top_logprobs"));
}

TEST(ChatChunks, CallsComeInParts) {
  const auto chunks = Stream(Endpoint::kChat);
  std::string out;
  chunks->Delta(out, {.num_tokens = 3,
                      .tool_calls = {{.call = 0, .id = "c1", .name = "f"},
                                     {.call = 0, .arguments = "{\"a\":"}}});
  chunks->Finished(out, {.reason = FinishReason::kToolCalls});
  const auto frame = [](const char* call) {
    return ChatFrame(absl::StrCat(R"({"index":0,"delta":{"tool_calls":[)", call,
                                  R"(]},"logprobs":null,"finish_reason":null})"));
  };
  EXPECT_EQ(
      out,
      kRole +
          frame(
              R"({"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}})") +
          frame(R"({"index":0,"function":{"arguments":"{\"a\":"}})") +
          ChatFrame(
              R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null})"));
}

TEST(ChatChunks, StopReasonIsWhatStoppedIt) {
  const auto chunks = Stream(Endpoint::kChat);
  std::string out;
  chunks->Finished(out, {.stop_string = "\n\""});
  EXPECT_THAT(out, HasSubstr(R"("finish_reason":"stop","stop_reason":"\n\"")"));
  out.clear();
  chunks->Finished(out, {.stop_token = 42});
  EXPECT_THAT(out, HasSubstr(R"("finish_reason":"stop","stop_reason":42)"));
}

TEST(ChatChunks, UsageStandsWhereItWasAskedFor) {
  const std::string usage = R"({"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,)"
                            R"("prompt_tokens_details":{"cached_tokens":0},)"
                            R"("completion_tokens_details":{"reasoning_tokens":0}})";
  std::string out;
  auto chunks = Stream(Endpoint::kChat, {.include_usage = true});
  chunks->Finished(out, {});
  EXPECT_THAT(out, HasSubstr("}],\"usage\":null}\n\n"));
  out.clear();
  chunks->Completed(out, {.prompt_tokens = 5, .completion_tokens = 2});
  EXPECT_EQ(out, absl::StrCat(kChatOpening, "],\"usage\":", usage, "}\n\n", "data: [DONE]\n\n"));
  out.clear();
  chunks = Stream(Endpoint::kChat, {.continuous_usage = true, .prompt_tokens = 5});
  chunks->Delta(out, {.content = "ab", .num_tokens = 2});
  EXPECT_THAT(out, HasSubstr(absl::StrCat("}],\"usage\":", usage, "}\n\n")));
}

TEST(CompletionChunks, BytesOfAStream) {
  const auto chunks = Stream(Endpoint::kCompletion);
  std::string out;
  chunks->Delta(out, {.num_tokens = 1});  // half a character: nothing to say
  EXPECT_EQ(out, "");
  chunks->Delta(out, {.content = "Hi", .num_tokens = 1});
  chunks->Finished(out, {.stop_string = "."});
  EXPECT_EQ(
      out,
      TextFrame(
          R"({"index":0,"text":"Hi","logprobs":null,"finish_reason":null,"stop_reason":null})") +
          TextFrame(
              R"({"index":0,"text":"","logprobs":null,"finish_reason":"stop","stop_reason":"."})"));
}

TEST(CompletionChunks, EchoStandsBeforeTheFirstTextOfEachChoice) {
  const auto chunks = Stream(Endpoint::kCompletion, {}, 2, {"p", "q"});
  std::string out;
  chunks->Delta(out, {.index = 0, .content = "1"});
  chunks->Delta(out, {.index = 0, .content = "2"});
  EXPECT_THAT(out, HasSubstr(R"("text":"p1")"));
  EXPECT_THAT(out, HasSubstr(R"("text":"2")"));
  out.clear();
  chunks->Finished(out, {.index = 1});
  EXPECT_THAT(out, HasSubstr(R"({"index":1,"text":"q")"));
}

TEST(CompletionChunks, LogprobsAreParallelArraysWithOffsetsInCharacters) {
  const auto chunks = Stream(Endpoint::kCompletion);
  std::string out;
  // "ä" in two tokens of a byte each, then "b".
  chunks->Delta(out, {.content = "\xc3\xa4"
                                 "b",
                      .logprobs = {{.token = {1, "\xc3", -1}},
                                   {.token = {2, "\xa4", -2}},
                                   {.token = {3, "b", -3}, .top = {{4, "c", -0.5}}}}});
  EXPECT_THAT(out, HasSubstr(R"("logprobs":{"text_offset":[0,1,1],"token_logprobs":[-1,-2,-3],)"
                             R"("tokens":["�","�","b"],)"
                             R"("top_logprobs":[{"�":-1},{"�":-2},{"c":-0.5,"b":-3}]})"));
  out.clear();
  chunks->Delta(out, {.content = "c", .logprobs = {{.token = {1, "c", -1}}}});
  EXPECT_THAT(out, HasSubstr(R"("text_offset":[2])"));
}

TEST(WholeAnswer, Chat) {
  const std::vector<CollectedChoice> choices = {
      {.content = "Hi", .logprobs = SomeLogprobs(), .finished = {.reason = FinishReason::kStop}},
      {.content = "", .reasoning = "hm", .finished = {.reason = FinishReason::kLength}}};
  EXPECT_EQ(
      WholeAnswer(
          Endpoint::kChat, kHead, choices,
          {.prompt_tokens = 1, .completion_tokens = 2, .cached_tokens = 3, .reasoning_tokens = 4},
          {}),
      absl::StrCat(
          R"({"id":"chatcmpl-1","object":"chat.completion","created":17,"model":"m","choices":[)"
          R"({"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,)"
          R"("reasoning_content":null,"reasoning":null},)",
          kSomeLogprobs,
          R"(,"finish_reason":"stop","stop_reason":null},)"
          R"({"index":1,"message":{"role":"assistant","content":"","refusal":null,)"
          R"("reasoning_content":"hm","reasoning":"hm"},"logprobs":null,)"
          R"("finish_reason":"length","stop_reason":null}],)"
          R"("usage":{"prompt_tokens":1,"total_tokens":3,"completion_tokens":2,)"
          R"("prompt_tokens_details":{"cached_tokens":3},)"
          R"("completion_tokens_details":{"reasoning_tokens":4}}})"));
}

TEST(WholeAnswer, CallsStandBesideNoContent) {
  std::string out;
  const auto whole = MakeAnswerWriter({.endpoint = Endpoint::kChat}, kHead, {});
  whole->Delta(out, {.tool_calls = {{.call = 0, .id = "c1", .name = "f", .arguments = "{"}}});
  whole->Delta(out, {.tool_calls = {{.call = 0, .arguments = "}"},
                                    {.call = 1, .id = "c2", .name = "g", .arguments = "{}"}}});
  whole->Finished(out, {.reason = FinishReason::kToolCalls});
  EXPECT_EQ(out, "");
  whole->Completed(out, {});
  const json::value choice = json::parse(out).at("choices").at(0);
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
  EXPECT_EQ(choice.at("message").at("tool_calls"),
            json::parse(R"([{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
                            {"id":"c2","type":"function","function":{"name":"g",
                             "arguments":"{}"}}])"));
}

TEST(WholeAnswer, Completion) {
  const std::vector<CollectedChoice> choices = {
      {.content = "b", .logprobs = std::vector<TokenLogprob>{{.token = {1, "b", -1}}}}};
  const json::value answer =
      json::parse(WholeAnswer(Endpoint::kCompletion, kHead, choices, {}, {"\xc3\xa4"}));
  EXPECT_EQ(answer.at("object"), "text_completion");
  EXPECT_EQ(answer.at("choices").at(0).at("text"),
            "\xc3\xa4"
            "b");
  EXPECT_EQ(answer.at("choices").at(0).at("logprobs").at("text_offset"), json::parse("[1]"));
}

// "ä", "b": the first predicted by nothing, the second not the likeliest.
std::shared_ptr<const std::vector<gateway::PromptLogprob>> SomePromptLogprobs() {
  return std::make_shared<const std::vector<gateway::PromptLogprob>>(
      std::vector<gateway::PromptLogprob>{
          {.token = {7, "\xc3\xa4", 0}},
          {.token = {5, "b", -2}, .rank = 3, .top = {{9, "c", -0.5}, {4, "\xff", -1}}}});
}

TEST(WholeAnswer, PromptLogprobsInVllmsShape) {
  const json::value expected =
      json::parse(R"([null,{"5":{"logprob":-2E0,"rank":3,"decoded_token":"b"},)"
                  R"("9":{"logprob":-5E-1,"rank":1,"decoded_token":"c"},)"
                  R"("4":{"logprob":-1E0,"rank":2,"decoded_token":"�"}}])");
  const std::vector<CollectedChoice> choices = {{.prompt_logprobs = SomePromptLogprobs()}};
  json::value answer = json::parse(
      WholeAnswer(Endpoint::kChat, kHead, choices, {}, {}, /*shows_prompt_logprobs=*/true));
  EXPECT_EQ(answer.at("prompt_logprobs").as_array().size(), 2u);
  EXPECT_TRUE(answer.at("prompt_logprobs").at(0).is_null());
  const json::value& second = answer.at("prompt_logprobs").at(1);
  ASSERT_EQ(second.as_object().size(), 3u);
  for (const char* id : {"5", "9", "4"}) {
    const json::value& got = second.at(id);
    const json::value& want = expected.at(1).at(id);
    EXPECT_EQ(got.at("logprob").to_number<double>(), want.at("logprob").to_number<double>());
    EXPECT_EQ(got.at("rank"), want.at("rank"));
    EXPECT_EQ(got.at("decoded_token"), want.at("decoded_token"));
  }
  answer = json::parse(
      WholeAnswer(Endpoint::kCompletion, kHead, choices, {}, {}, /*shows_prompt_logprobs=*/true));
  EXPECT_EQ(answer.at("choices").at(0).at("prompt_logprobs").as_array().size(), 2u);
  EXPECT_FALSE(answer.as_object().contains("prompt_logprobs"));
  answer = json::parse(WholeAnswer(Endpoint::kCompletion, kHead, choices, {}, {}));
  EXPECT_FALSE(answer.at("choices").at(0).as_object().contains("prompt_logprobs"));
}

TEST(WholeAnswer, AnEchosLogprobsStandBeforeTheOutputs) {
  const std::vector<CollectedChoice> choices = {
      {.content = "d",
       .logprobs = std::vector<TokenLogprob>{{.token = {1, "d", -1}}},
       .prompt_logprobs = SomePromptLogprobs()}};
  const std::string answer = WholeAnswer(Endpoint::kCompletion, kHead, choices, {},
                                         {"\xc3\xa4"
                                          "b"});
  EXPECT_THAT(answer, HasSubstr(R"("logprobs":{"text_offset":[0,1,2],)"
                                R"("token_logprobs":[null,-2,-1],"tokens":["ä","b","d"],)"
                                R"("top_logprobs":[null,{"c":-0.5,"�":-1,"b":-2},{"d":-1}]})"));
}

TEST(WholeAnswer, AnEchoAloneHasNothingBehindIt) {
  std::string out;
  const auto whole =
      MakeAnswerWriter({.endpoint = Endpoint::kCompletion, .echo = true, .only_echo = true}, kHead,
                       {.with_logprobs = true,
                        .echo = {"\xc3\xa4"
                                 "b"}});
  whole->Delta(out, {.content = "d", .logprobs = {{.token = {1, "d", -1}}}});
  whole->Finished(out, {.reason = FinishReason::kLength});
  whole->PromptLogprobs(0, 1, SomePromptLogprobs());
  whole->Completed(out, {.prompt_tokens = 2, .completion_tokens = 1});
  const json::value answer = json::parse(out);
  EXPECT_EQ(answer.at("choices").at(0).at("text"), "äb");
  EXPECT_EQ(answer.at("choices").at(0).at("logprobs").at("tokens").as_array().size(), 2u);
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 0);
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 2);
}

TEST(WholeAnswer, WhatTheTokenizerPutsBeforeTheTextMovesNoOffset) {
  const std::vector<CollectedChoice> choices = {
      {.logprobs = std::vector<TokenLogprob>{},
       .prompt_logprobs = std::make_shared<const std::vector<gateway::PromptLogprob>>(
           std::vector<gateway::PromptLogprob>{{.token = {7, "<bos>", 0}},
                                               {.token = {5, "ab", -2}, .rank = 3},
                                               {.token = {6, "c", -2}, .rank = 3}})}};
  EXPECT_THAT(WholeAnswer(Endpoint::kCompletion, kHead, choices, {}, {"abc"}),
              HasSubstr(R"("text_offset":[0,0,2])"));
}

TEST(ChatChunks, AFailureIsOneFrameAndTheEnd) {
  std::string out;
  Stream(Endpoint::kChat)->Failed(out, absl::InternalError("line\n\nline"));
  EXPECT_EQ(out,
            "data: {\"error\":{\"message\":\"line\\n\\nline\",\"type\":\"server_error\","
            "\"param\":null,\"code\":null}}\n\ndata: [DONE]\n\n");
}

}  // namespace
}  // namespace weft::openai
