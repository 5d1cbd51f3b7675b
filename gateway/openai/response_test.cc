// Responses: what their requests say, and what is written of their events.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"
#include "gateway/openai/format.h"
#include "gateway/openai/request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::FinishReason;
using ::testing::ElementsAre;

const AnswerHead kHead{.id = "resp_1", .created = 17, .model = "m"};

absl::StatusOr<GenerationCall> Parse(const std::string& fields) {
  return ParseResponse(absl::StrCat(R"({"input":"hi")", fields.empty() ? "" : ",", fields, "}"));
}
std::string Param(const absl::StatusOr<GenerationCall>& result) {
  if (result.ok()) return "(accepted)";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  const auto payload = result.status().GetPayload(gateway::kParamPayload);
  return payload ? std::string(*payload) : "(none)";
}
std::vector<text::ChatMessage> Messages(const std::string& body) {
  const auto call = ParseResponse(body);
  EXPECT_TRUE(call.ok()) << call.status();
  if (!call.ok()) return {};
  return std::get<gateway::ChatPrompt>(call->requests.front().prompt).messages;
}

TEST(ResponseRequest, ReadsItsFields) {
  const auto call = Parse(
      R"("model":"m","instructions":"be kind","max_output_tokens":7,"temperature":0.5,"top_p":0.9,
         "top_logprobs":3,"include":["message.output_text.logprobs","reasoning.encrypted_content"],
         "reasoning":{"effort":"low","summary":"auto"},"stream":true,"metadata":{"a":"b"},
         "user":"u","store":true,"truncation":"disabled","background":false,"top_k":5)");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_TRUE(call->stream);
  const gateway::Request& request = call->requests.front();
  EXPECT_EQ(request.model, "m");
  EXPECT_TRUE(request.split_reasoning);
  EXPECT_EQ(request.options.max_tokens, 7);
  EXPECT_EQ(request.options.temperature, 0.5);
  EXPECT_EQ(request.options.top_p, 0.9);
  EXPECT_EQ(request.options.top_k, 5);
  EXPECT_EQ(request.options.logprobs, 3);
  const auto& prompt = std::get<gateway::ChatPrompt>(request.prompt);
  EXPECT_EQ(prompt.reasoning_effort, "low");
  ASSERT_EQ(prompt.messages.size(), 2u);
  EXPECT_EQ(prompt.messages[0].role, "system");
  EXPECT_EQ(prompt.messages[0].content, "be kind");
  EXPECT_EQ(prompt.messages[1].role, "user");
  EXPECT_EQ(prompt.messages[1].content, "hi");
}

TEST(ResponseRequest, OneTurnOfTheAssistantIsOneMessage) {
  const auto messages = Messages(
      R"({"input":[{"role":"developer","content":"be kind"},
                   {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},
                                                              {"type":"input_text","text":"b"}]},
                   {"type":"reasoning","id":"rs_1","summary":[],
                    "content":[{"type":"reasoning_text","text":"hm"}]},
                   {"type":"message","role":"assistant","id":"msg_1","status":"completed",
                    "content":[{"type":"output_text","text":"wait","annotations":[]}]},
                   {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
                   {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
                   {"type":"function_call_output","call_id":"c1","output":"7"},
                   {"type":"function_call_output","call_id":"c2",
                    "output":[{"type":"input_text","text":"8"}]},
                   {"role":"assistant","content":"one"},
                   {"role":"assistant","content":"two"}]})");
  std::vector<std::string> seen;
  for (const text::ChatMessage& message : messages) {
    seen.push_back(absl::StrCat(message.role, "|", message.reasoning_content, "|", message.content,
                                "|", message.tool_call_id));
    for (const text::ToolCall& call : message.tool_calls) {
      absl::StrAppend(&seen.back(), "|", call.id, call.name, call.arguments);
    }
  }
  EXPECT_THAT(
      seen, ElementsAre("system||be kind|", "user||a\nb|", "assistant|hm|wait||c1f{\"a\":1}|c2g{}",
                        "tool||7|c1", "tool||8|c2", "assistant||one|", "assistant||two|"));
}

TEST(ResponseRequest, RefusesWhatNeedsAMemory) {
  for (const char* field :
       {R"("previous_response_id":"resp_1")", R"("conversation":"conv_1")", R"("background":true)",
        R"("truncation":"auto")", R"("prompt":{"id":"p"})",
        // and what has another name here
        R"("response_format":{"type":"text"})", R"("max_tokens":5)", R"("n":2)",
        R"("structured_outputs":{"regex":"a"})", R"("metadata":{"a":1})", R"("top_logprobs":2)",
        R"("include":7)", R"("instructions":[])", R"("stream":"yes")"}) {
    const std::string name(field + 1, std::string(field).find('"', 1) - 1);
    EXPECT_EQ(Param(Parse(field)), name);
  }
}

TEST(ResponseRequest, WhatIsWrongInTheInputIsNamedByItsPlace) {
  for (const auto& [input, param] : std::vector<std::pair<const char*, const char*>>{
           {"null", "input"},
           {"[]", "input"},
           {"7", "input"},
           {"[7]", "input[0]"},
           {R"([{"type":"item_reference","id":"x"}])", "input[0].type"},
           {R"([{"type":"web_search_call"}])", "input[0].type"},
           {R"([{"content":"x"}])", "input[0].role"},
           {R"([{"role":"user"}])", "input[0].content"},
           {R"([{"role":"user","content":[{"type":"input_image","image_url":"x"}]}])",
            "input[0].content[0]"},
           {R"([{"type":"function_call","name":"f","arguments":"x"}])", "input[0].arguments"},
           {R"([{"type":"function_call_output","call_id":"c"}])", "input[0].output"}}) {
    EXPECT_EQ(Param(ParseResponse(absl::StrCat(R"({"input":)", input, "}"))), param) << input;
  }
}

// ---- what is written ----

struct Written {
  std::vector<std::string> types;
  std::vector<json::value> events;
};

// The frames of an event stream, held to its rules.
Written Read(const std::string& out) {
  Written written;
  for (size_t begin = 0; begin < out.size();) {
    const size_t end = out.find("\n\n", begin);
    const std::string frame = out.substr(begin, end - begin);
    const size_t line = frame.find("\ndata: ");
    if (end == std::string::npos || line == std::string::npos || !frame.starts_with("event: ")) {
      ADD_FAILURE() << "no frame: " << frame;
      break;
    }
    json::value event = json::parse(frame.substr(line + 7));
    EXPECT_EQ(event.at("type").as_string(), frame.substr(7, line - 7));
    EXPECT_EQ(event.at("sequence_number").as_int64(), static_cast<int64_t>(written.events.size()));
    written.types.emplace_back(event.at("type").as_string());
    written.events.push_back(std::move(event));
    begin = end + 2;
  }
  return written;
}

std::unique_ptr<AnswerWriter> Writer(bool is_stream, const std::string& fields = "") {
  auto call = Parse(fields);
  EXPECT_TRUE(call.ok()) << call.status();
  call->stream = is_stream;
  return MakeAnswerWriter(*call, kHead, {});
}

// Reasoning, a message and two calls.
void Play(AnswerWriter& writer, std::string& out) {
  writer.Delta(out, {.reasoning = "hm"});
  writer.Delta(out, {.content = "a", .reasoning = "!"});
  writer.Delta(out, {.content = "b"});
  writer.Delta(out, {.tool_calls = {{.call = 0, .id = "c1", .name = "f"}}});
  writer.Delta(out, {.tool_calls = {{.call = 0, .arguments = "{\"a\":"},
                                    {.call = 0, .arguments = "1}"},
                                    {.call = 1, .id = "c2", .name = "g", .arguments = "{}"}}});
  writer.Finished(out, {.reason = FinishReason::kToolCalls});
  writer.Completed(
      out, {.prompt_tokens = 5, .completion_tokens = 4, .cached_tokens = 2, .reasoning_tokens = 1});
}

TEST(ResponseStream, TellsOfOneItemAfterTheOther) {
  std::string out;
  Play(*Writer(true), out);
  const Written written = Read(out);
  EXPECT_THAT(
      written.types,
      ElementsAre(
          "response.created", "response.in_progress",
          // reasoning
          "response.output_item.added", "response.content_part.added",
          "response.reasoning_text.delta", "response.reasoning_text.delta",
          "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
          // message
          "response.output_item.added", "response.content_part.added", "response.output_text.delta",
          "response.output_text.delta", "response.output_text.done", "response.content_part.done",
          "response.output_item.done",
          // calls
          "response.output_item.added", "response.function_call_arguments.delta",
          "response.function_call_arguments.delta", "response.function_call_arguments.done",
          "response.output_item.done", "response.output_item.added",
          "response.function_call_arguments.delta", "response.function_call_arguments.done",
          "response.output_item.done", "response.completed"));
  const json::value& last = written.events.back().at("response");
  EXPECT_EQ(last.at("status"), "completed");
  EXPECT_EQ(last.at("usage"),
            json::parse(R"({"input_tokens":5,"input_tokens_details":{"cached_tokens":2,
                            "cache_write_tokens":0},"output_tokens":4,
                            "output_tokens_details":{"reasoning_tokens":1},"total_tokens":9})"));
  EXPECT_EQ(last.at("output"),
            json::parse(
                R"([{"id":"rs_1_0","type":"reasoning","summary":[],"status":"completed",
                     "content":[{"type":"reasoning_text","text":"hm!"}]},
                    {"id":"msg_1_1","type":"message","role":"assistant","status":"completed",
                     "content":[{"type":"output_text","text":"ab","annotations":[],
                                 "logprobs":[]}]},
                    {"id":"fc_1_2","type":"function_call","call_id":"c1","name":"f",
                     "arguments":"{\"a\":1}","status":"completed"},
                    {"id":"fc_1_3","type":"function_call","call_id":"c2","name":"g",
                     "arguments":"{}","status":"completed"}])"));
  // Deltas name the item that they belong to.
  EXPECT_EQ(written.events[11].at("item_id"), "msg_1_1");
  EXPECT_EQ(written.events[11].at("output_index"), 1);
  EXPECT_EQ(written.events[11].at("content_index"), 0);
  EXPECT_EQ(written.events[9].at("item").at("content"), json::parse("[]"));
}

TEST(ResponseStream, EndsIncompleteAtItsLength) {
  std::string out;
  const auto writer = Writer(true);
  writer->Delta(out, {.content = "a"});
  writer->Finished(out, {.reason = FinishReason::kLength});
  writer->Completed(out, {});
  const Written written = Read(out);
  EXPECT_EQ(written.types.back(), "response.incomplete");
  const json::value& last = written.events.back().at("response");
  EXPECT_EQ(last.at("incomplete_details").at("reason"), "max_output_tokens");
  EXPECT_EQ(last.at("output").at(0).at("status"), "incomplete");
}

TEST(ResponseStream, AFailureIsAnErrorAndAFailedResponse) {
  std::string out;
  const auto writer = Writer(true);
  writer->Delta(out, {.content = "a"});
  writer->Failed(out, absl::InternalError("worker lost"));
  const Written written = Read(out);
  ASSERT_GE(written.types.size(), 2u);
  EXPECT_EQ(written.types[written.types.size() - 2], "error");
  EXPECT_EQ(written.events[written.events.size() - 2].at("message"), "worker lost");
  EXPECT_EQ(written.types.back(), "response.failed");
  EXPECT_EQ(written.events.back().at("response").at("error"),
            json::parse(R"({"code":"server_error","message":"worker lost"})"));
}

TEST(WholeResponse, IsWhatAStreamEndsIn) {
  const std::string fields =
      R"("instructions":"be kind","temperature":0.5,"metadata":{"a":"b"},"user":"u",
         "tools":[{"type":"function","name":"f"}],"reasoning":{"effort":"low"})";
  std::string whole, stream;
  Play(*Writer(false, fields), whole);
  Play(*Writer(true, fields), stream);
  json::value answer = json::parse(whole);
  json::value last = Read(stream).events.back().at("response");
  for (json::value* response : {&answer, &last}) response->as_object().erase("completed_at");
  EXPECT_EQ(json::serialize(answer), json::serialize(last));
  EXPECT_EQ(answer.at("object"), "response");
  EXPECT_EQ(answer.at("instructions"), "be kind");
  EXPECT_EQ(answer.at("metadata"), json::parse(R"({"a":"b"})"));
  EXPECT_EQ(answer.at("tools"), json::parse(R"([{"type":"function","name":"f","description":null,
                                                 "parameters":null,"strict":null}])"));
  EXPECT_EQ(answer.at("store"), false);
  EXPECT_EQ(answer.at("user"), "u");
}

TEST(WholeResponse, LogprobsAreTheMessagesOwn) {
  std::string out;
  const auto writer =
      Writer(false, R"("include":["message.output_text.logprobs"],"top_logprobs":0)");
  writer->Delta(out, {.content = "ab",
                      .reasoning = "hm",
                      .logprobs = {{.token = {1, "hm", -1}},
                                   {.token = {2, "</think>", -1}},
                                   {.token = {3, "a", -2}},
                                   {.token = {4, "b", -3}}}});
  writer->Finished(out, {});
  writer->Completed(out, {});
  const json::value answer = json::parse(out);
  const json::array& logprobs =
      answer.at("output").at(1).at("content").at(0).at("logprobs").as_array();
  ASSERT_EQ(logprobs.size(), 2u);
  EXPECT_EQ(logprobs[0].at("token"), "a");
  EXPECT_EQ(logprobs[1].at("token"), "b");
}

}  // namespace
}  // namespace weft::openai
