// Tools and constraints, in chat's form and in responses'.
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"
#include "gateway/openai/request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

using gateway::ChatPrompt;
using gateway::Grammar;
using gateway::ToolChoice;
using gateway::ToolOptions;

constexpr char kTools[] =
    R"("tools":[{"type":"function","function":{"name":"f","description":"does",
        "parameters":{"type":"object","properties":{"a":{"type":"number"}}},"strict":true}},
       {"type":"function","function":{"name":"g"}}])";

absl::StatusOr<GenerationCall> Parse(const std::string& fields) {
  return ParseChat(absl::StrCat(R"({"messages":[{"role":"user","content":"hi"}],)", fields, "}"));
}

std::string Param(const absl::StatusOr<GenerationCall>& result) {
  if (result.ok()) return "(accepted)";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  const auto payload = result.status().GetPayload(gateway::kParamPayload);
  return payload ? std::string(*payload) : "(none)";
}

ToolOptions ToolsOf(const absl::StatusOr<GenerationCall>& call) {
  EXPECT_TRUE(call.ok()) << call.status();
  if (!call.ok()) return {};
  return std::get<ChatPrompt>(call->requests.front().prompt).tools;
}
ToolOptions Tools(const std::string& more) { return ToolsOf(Parse(absl::StrCat(kTools, more))); }

Grammar GrammarOf(const absl::StatusOr<GenerationCall>& call) {
  EXPECT_TRUE(call.ok()) << call.status();
  if (!call.ok()) return {};
  EXPECT_TRUE(call->requests.front().options.grammar.has_value());
  return call->requests.front().options.grammar.value_or(Grammar());
}

void ExpectGrammar(const std::string& fields, Grammar::Kind kind, const std::string& text) {
  for (const auto& call :
       {Parse(fields), ParseCompletion(absl::StrCat(R"({"prompt":"p",)", fields, "}"))}) {
    const Grammar grammar = GrammarOf(call);
    EXPECT_EQ(grammar.kind, kind) << fields;
    EXPECT_EQ(grammar.text, text) << fields;
  }
}

TEST(Tools, AreReadWithTheirSchemas) {
  const ToolOptions tools = Tools("");
  ASSERT_EQ(tools.tools.size(), 2u);
  EXPECT_EQ(tools.tools[0].name, "f");
  EXPECT_EQ(tools.tools[0].parameters, R"({"type":"object","properties":{"a":{"type":"number"}}})");
  EXPECT_EQ(tools.tools[1].parameters, "");
  EXPECT_EQ(tools.tools[1].definition, R"({"type":"function","function":{"name":"g"}})");
  EXPECT_EQ(tools.choice, ToolChoice::kAuto);
  EXPECT_TRUE(tools.parallel);
}

TEST(Tools, AreTheSameInResponsesFlatForm) {
  const ToolOptions tools = ToolsOf(ParseResponse(
      R"({"input":"hi","tools":[{"type":"function","name":"f","description":"does",
          "parameters":{"type":"object"},"strict":false}],
          "tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false})"));
  ASSERT_EQ(tools.tools.size(), 1u);
  EXPECT_EQ(tools.tools[0].definition,
            R"({"type":"function","function":{"name":"f","description":"does",)"
            R"("parameters":{"type":"object"},"strict":false}})");
  EXPECT_EQ(tools.choice, ToolChoice::kNamed);
  EXPECT_EQ(tools.name, "f");
  EXPECT_FALSE(tools.parallel);
  EXPECT_TRUE(ToolsOf(ParseResponse(R"({"input":"hi","tools":[]})")).tools.empty());
}

TEST(Tools, ChoiceIsAWordAFunctionOrASelection) {
  EXPECT_EQ(Tools(R"(,"tool_choice":"none")").choice, ToolChoice::kNone);
  EXPECT_EQ(Tools(R"(,"tool_choice":"auto")").choice, ToolChoice::kAuto);
  EXPECT_EQ(Tools(R"(,"tool_choice":"required")").choice, ToolChoice::kRequired);
  ToolOptions tools = Tools(R"(,"tool_choice":{"type":"function","function":{"name":"g"}})");
  EXPECT_EQ(tools.choice, ToolChoice::kNamed);
  EXPECT_EQ(tools.name, "g");
  EXPECT_EQ(tools.tools.size(), 2u);
  tools = Tools(
      R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
          "tools":[{"type":"function","function":{"name":"g"}}]}})");
  EXPECT_EQ(tools.choice, ToolChoice::kRequired);
  ASSERT_EQ(tools.tools.size(), 1u);
  EXPECT_EQ(tools.tools[0].name, "g");
}

TEST(Tools, WhatIsWrongIsNamedByItsPlace) {
  for (const auto& [fields, param] : std::vector<std::pair<const char*, const char*>>{
           {R"("tools":[])", "tools"},
           {R"("tools":{})", "tools"},
           {R"("tools":[7])", "tools[0]"},
           {R"("tools":[{"type":"web_search"}])", "tools[0]"},
           {R"("tools":[{"type":"function"}])", "tools[0].function"},
           {R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name"},
           {R"("tools":[{"type":"function","function":{"name":"f","parameters":"x"}}])",
            "tools[0].function.parameters"},
           {R"("tool_choice":"any")", "tool_choice"},
           {R"("tool_choice":7)", "tool_choice"},
           {R"("tool_choice":{"type":"function"})", "tool_choice.function"},
           {R"("tool_choice":{"type":"custom"})", "tool_choice"},
           {R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"x"}})",
            "tool_choice.allowed_tools.mode"},
           {R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto",
               "tools":[{"type":"function","function":{"name":"x"}}]}})",
            "tool_choice.allowed_tools.tools[0]"},
           {R"("parallel_tool_calls":1)", "parallel_tool_calls"}}) {
    EXPECT_EQ(Param(Parse(fields)), param) << fields;
  }
}

TEST(Constraints, AreSaidInManyWays) {
  ExpectGrammar(R"("response_format":{"type":"json_object"})", Grammar::Kind::kJsonObject, "");
  ExpectGrammar(R"("response_format":{"type":"json_schema","json_schema":
                   {"name":"s","schema":{"type":"object"},"strict":true}})",
                Grammar::Kind::kJsonSchema, R"({"type":"object"})");
  ExpectGrammar(R"("response_format":{"type":"json_object","schema":{"type":"null"}})",
                Grammar::Kind::kJsonSchema, R"({"type":"null"})");
  for (const char* field :
       {R"("structured_outputs":{"json":{"type":"object"}})",
        R"("structured_outputs":{"json":"{\"type\":\"object\"}"})",
        R"("guided_json":{"type":"object"})", R"("json_schema":{"type":"object"})"}) {
    ExpectGrammar(field, Grammar::Kind::kJsonSchema, R"({"type":"object"})");
  }
  for (const char* field : {R"("structured_outputs":{"regex":"a+"})", R"("guided_regex":"a+")"}) {
    ExpectGrammar(field, Grammar::Kind::kRegex, "a+");
  }
  for (const char* field :
       {R"("structured_outputs":{"choice":["a","b"]})", R"("guided_choice":["a","b"])"}) {
    ExpectGrammar(field, Grammar::Kind::kChoice, R"(["a","b"])");
  }
  for (const char* field : {R"("structured_outputs":{"grammar":"start: A"})",
                            R"("guided_grammar":"start: A")", R"("grammar":"start: A")"}) {
    ExpectGrammar(field, Grammar::Kind::kGrammar, "start: A");
  }
  ExpectGrammar(R"("structured_outputs":{"json_object":true,"regex":null})",
                Grammar::Kind::kJsonObject, "");
}

TEST(Constraints, AreFlatInResponses) {
  const Grammar grammar = GrammarOf(ParseResponse(
      R"({"input":"hi","text":{"format":{"type":"json_schema","name":"s","strict":true,
          "schema":{"type":"object"}}}})"));
  EXPECT_EQ(grammar.kind, Grammar::Kind::kJsonSchema);
  EXPECT_EQ(grammar.text, R"({"type":"object"})");
  EXPECT_EQ(ParseResponse(R"({"input":"hi","text":{"format":{"type":"text"}}})")
                ->requests.front()
                .options.grammar,
            std::nullopt);
  EXPECT_EQ(Param(ParseResponse(R"({"input":"hi","text":{"format":{"type":"json_schema"}}})")),
            "text.format.schema");
}

TEST(Constraints, WhatIsWrongIsNamed) {
  for (const auto& [fields, param] : std::vector<std::pair<const char*, const char*>>{
           {R"("response_format":{})", "response_format.type"},
           {R"("response_format":"json")", "response_format"},
           {R"("response_format":{"type":"xml"})", "response_format.type"},
           {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"name":"s"}})",
            "response_format.json_schema.schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":7}})",
            "response_format.json_schema.schema"},
           {R"("structured_outputs":{})", "structured_outputs"},
           {R"("structured_outputs":{"regex":"a","choice":["b"]})", "structured_outputs.choice"},
           {R"("structured_outputs":{"choice":[]})", "structured_outputs.choice"},
           {R"("structured_outputs":{"regex":""})", "structured_outputs.regex"},
           {R"("structured_outputs":{"structural_tag":"x"})", "structured_outputs.structural_tag"},
           {R"("guided_choice":["a",1])", "guided_choice"},
           {R"("guided_regex":"a","response_format":{"type":"json_object"})", "guided_regex"},
           {R"("grammar":7)", "grammar"}}) {
    EXPECT_EQ(Param(Parse(fields)), param) << fields;
  }
}

}  // namespace
}  // namespace weft::openai
