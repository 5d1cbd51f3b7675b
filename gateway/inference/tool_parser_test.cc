#include "gateway/inference/tool_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;

struct Call {
  std::string name;
  std::string arguments;
  bool operator==(const Call&) const = default;
};

struct Parsed {
  std::string content;
  std::vector<Call> calls;
  bool operator==(const Parsed&) const = default;
};

void PrintTo(const Parsed& parsed, std::ostream* out) {
  *out << '"' << parsed.content << '"';
  for (const Call& call : parsed.calls) *out << " " << call.name << "(" << call.arguments << ")";
}

// Puts deltas together as a client does.
class Reader {
 public:
  explicit Reader(bool parallel = true)
      : parser({.functions = {"add", "get_weather"}, .parallel = parallel}) {}

  void Text(std::string_view text) {
    Delta delta;
    parser.Text(text, delta);
    Take(delta);
  }
  Parsed Finish() {
    Delta delta;
    parser.Finish(delta);
    Take(delta);
    return parsed;
  }
  void Take(const Delta& delta) {
    parsed.content += delta.content;
    for (const ToolCallDelta& call : delta.tool_calls) {
      if (call.call == static_cast<int>(parsed.calls.size())) {
        EXPECT_FALSE(call.name.empty());
        EXPECT_EQ(call.id.size(), 29u);
        EXPECT_TRUE(call.id.starts_with("call_"));
        parsed.calls.push_back({call.name, ""});
      } else {
        EXPECT_EQ(call.call, static_cast<int>(parsed.calls.size()) - 1);
        EXPECT_TRUE(call.id.empty() && call.name.empty());
        EXPECT_FALSE(call.arguments.empty());
      }
      parsed.calls.back().arguments += call.arguments;
    }
  }

  ToolParser parser;
  Parsed parsed;
};

Parsed Parse(std::string_view text, size_t piece = std::string::npos) {
  Reader reader;
  for (size_t at = 0; at < text.size(); at += piece) {
    reader.Text(text.substr(at, piece));
    if (piece == std::string::npos) break;
  }
  return reader.Finish();
}

constexpr std::string_view kCall =
    "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2]}}\n</tool_call>";
constexpr std::string_view kDeepSeek =
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{\"a\": 1}\n```"
    "<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
    "{\"city\": \"Köln\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>";

TEST(ToolParser, TextWithoutCallsIsUntouched) {
  for (const char* text : {"", " ", "\n\nHello, <b>you</b> <tool> </tool_call>\n", "a < b",
                           "<tool_cal", "<｜tool▁ca", "text <｜tool▁sep｜> more "}) {
    EXPECT_EQ(Parse(text), (Parsed{text, {}})) << text;
    EXPECT_EQ(Parse(text, 1), (Parsed{text, {}})) << text;
  }
}

TEST(ToolParser, HermesCalls) {
  EXPECT_EQ(Parse(kCall), (Parsed{"", {{"add", R"({"a": 1, "b": [2]})"}}}));
  const std::string two = "I'll add.\n\n" + std::string(kCall) + "\n" + std::string(kCall) + "\n";
  EXPECT_EQ(
      Parse(two),
      (Parsed{"I'll add.", {{"add", R"({"a": 1, "b": [2]})"}, {"add", R"({"a": 1, "b": [2]})"}}}));
  EXPECT_EQ(Parse(R"(<tool_call>{"name":"add","arguments":{}}</tool_call> done)"),
            (Parsed{" done", {{"add", "{}"}}}));
}

TEST(ToolParser, DeepSeekCalls) {
  EXPECT_EQ(Parse(kDeepSeek),
            (Parsed{"", {{"add", R"({"a": 1})"}, {"get_weather", "{\"city\": \"Köln\"}"}}}));
}

TEST(ToolParser, AHeadThatIsTooLongIsNoneHoweverItIsCut) {
  const auto call = [](size_t length) {
    return "<｜tool▁call▁begin｜>" + std::string(length, 'x') +
           "<｜tool▁sep｜>add\n```json\n{}\n```<｜tool▁call▁end｜>";
  };
  for (const size_t piece : {size_t{1}, size_t{7}, std::string::npos}) {
    EXPECT_EQ(Parse(call(200), piece), (Parsed{"", {{"add", "{}"}}})) << piece;
    EXPECT_EQ(Parse(call(300), piece), (Parsed{call(300), {}})) << piece;
  }
}

TEST(ToolParser, ArgumentsInOtherForms) {
  const auto arguments = [](std::string_view object) {
    const Parsed parsed = Parse("<tool_call>" + std::string(object) + "</tool_call>");
    EXPECT_EQ(parsed.content, "");
    return parsed.calls.empty() ? "no call" : parsed.calls[0].arguments;
  };
  EXPECT_EQ(arguments(R"({"name": "add"})"), "{}");
  EXPECT_EQ(arguments(R"({"name": "add", "arguments": null})"), "{}");
  EXPECT_EQ(arguments(R"({"arguments": {"a": "}{"}, "name": "add"})"), R"({"a": "}{"})");
  EXPECT_EQ(arguments(R"({"name": "add", "parameters": {"a": 1}})"), R"({"a": 1})");
  EXPECT_EQ(arguments(R"({"name": "add", "arguments": {"a": 1}, "arguments": {}})"), R"({"a": 1})");
  EXPECT_EQ(arguments(R"({"name": "\u0061dd", "arguments": "{\"a\": 1}"})"), R"({"a": 1})");
  EXPECT_EQ(arguments(R"({"id": 3, "name": "add", "arguments": {"s": "\"</tool_call>"}})"),
            R"({"s": "\"</tool_call>"})");
}

TEST(ToolParser, WhatIsNoCallIsGivenBack) {
  for (const char* text : {"<tool_call>", "<tool_call>\n", "see: \n<tool_call>add</tool_call> ",
                           "<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call>",
                           "<tool_call>{\"name\": 3}</tool_call>", "<tool_call>{\"arguments\": {}}",
                           "<tool_call>{\"name\": \"ad", "<tool_call>[{\"name\": \"add\"}]",
                           "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>add\n{}",
                           "<｜tool▁call▁begin｜>function<｜tool▁sep｜>what\n```json\n{}"}) {
    EXPECT_EQ(Parse(text), (Parsed{text, {}})) << text;
    EXPECT_EQ(Parse(text, 1), (Parsed{text, {}})) << text;
  }
  const std::string after = "<tool_call>oh <tool_call>" + std::string(kCall.substr(11));
  EXPECT_EQ(Parse(after), (Parsed{"<tool_call>oh", {{"add", R"({"a": 1, "b": [2]})"}}}));
}

TEST(ToolParser, ACallThatIsCutOffKeepsWhatItHas) {
  EXPECT_EQ(Parse(kCall.substr(0, kCall.find(", \"b\""))), (Parsed{"", {{"add", R"({"a": 1)"}}}));
  EXPECT_EQ(Parse(R"(<tool_call>{"name": "add", "argu)"), (Parsed{"", {{"add", ""}}}));
}

TEST(ToolParser, ABrokenCallKeepsWhatItHasAndTextGoesOn) {
  EXPECT_EQ(Parse(R"(<tool_call>{"name": "add", "arguments": {"a": 1]} well)"),
            (Parsed{"]} well", {{"add", R"({"a": 1)"}}}));
}

TEST(ToolParser, TheNameComesBeforeItsArgumentsAreComplete) {
  Reader reader;
  reader.Text("Let me. <tool_call>\n{\"name\": \"get_weather\", \"argum");
  EXPECT_EQ(reader.parsed, (Parsed{"Let me.", {{"get_weather", ""}}}));
  reader.Text("ents\": {\"city\": \"Kö");
  EXPECT_EQ(reader.parsed.calls[0].arguments, "{\"city\": \"Kö");
  reader.Text("ln\"}");
  EXPECT_EQ(reader.parsed.calls[0].arguments, "{\"city\": \"Köln\"}");
}

TEST(ToolParser, WithoutParallelCallsTheFirstIsTheLast) {
  Reader reader(/*parallel=*/false);
  reader.Text(kCall.substr(0, 40));
  EXPECT_FALSE(reader.parser.is_done());
  reader.Text(kCall.substr(40));
  EXPECT_TRUE(reader.parser.is_done());
  reader.Text(kCall);
  EXPECT_THAT(reader.Finish().calls, ElementsAre(FieldsAre("add", R"({"a": 1, "b": [2]})")));
}

// However the text is cut, the same comes out; and what is no call is all there.
TEST(ToolParser, CutsMakeNoDifference) {
  const char* given = std::getenv("SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::string_view pieces[] = {kCall,
                                     kDeepSeek,
                                     "<tool_call>",
                                     "</tool_call>",
                                     "\n",
                                     " ",
                                     "text",
                                     "{\"name\": ",
                                     "\"add\"",
                                     ", \"arguments\": {",
                                     "}",
                                     "]",
                                     "\"",
                                     "\\",
                                     "<｜tool▁call▁begin｜>",
                                     "<｜tool▁sep｜>add\n",
                                     "```json\n",
                                     "<",
                                     "Köln",
                                     "<｜tool▁calls▁end｜>",
                                     "{",
                                     ":",
                                     ",",
                                     "12"};
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (uint64_t n = random() % 12; n > 0; --n) {
      std::string_view piece = pieces[random() % std::size(pieces)];
      if (random() % 4 == 0) piece = piece.substr(0, random() % (piece.size() + 1));
      text += piece;
    }
    const Parsed whole = Parse(text);
    Reader reader;
    for (size_t at = 0; at < text.size();) {
      const size_t size = 1 + random() % 7;
      reader.Text(std::string_view(text).substr(at, size));
      at += size;
    }
    ASSERT_EQ(reader.Finish(), whole) << text;
    if (whole.calls.empty()) {
      ASSERT_EQ(whole.content, text);
    }
  }
}

}  // namespace
}  // namespace weft::gateway
