#include "text/grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "text/test_models.h"

namespace weft::text {
namespace {

using Kind = Grammar::Kind;
using ::testing::HasSubstr;

class GrammarTest : public ::testing::Test {
 protected:
  static constexpr TokenId kEos = 256 + 7 + 1;

  // What follows of `text`, byte by byte: whether every byte may come, and the end.
  struct Followed {
    bool all = false;
    bool may_end = false;
  };
  Followed Follow(const Grammar& grammar, std::string_view text) {
    auto position = compiler_->Compile(grammar);
    EXPECT_TRUE(position.ok()) << position.status();
    if (!position.ok()) return {};
    std::vector<uint32_t> words((tokenizer_->vocab_size() + 31) / 32);
    for (const char c : text) {
      const TokenId id = static_cast<unsigned char>(c);
      EXPECT_TRUE(position->Mask(words).ok());
      if (!(words[id / 32] >> id % 32 & 1)) return {};
      EXPECT_TRUE(position->Consume(id).ok());
    }
    const auto may_end = position->Mask(words);
    EXPECT_TRUE(may_end.ok());
    EXPECT_EQ(*may_end, (words[kEos / 32] >> kEos % 32 & 1) != 0);
    return {.all = true, .may_end = *may_end};
  }
  bool Accepts(const Grammar& grammar, std::string_view text) {
    const Followed followed = Follow(grammar, text);
    return followed.all && followed.may_end;
  }
  std::string Refusal(const Grammar& grammar) {
    const auto position = compiler_->Compile(grammar);
    EXPECT_TRUE(absl::IsInvalidArgument(position.status())) << position.status();
    return std::string(position.status().message());
  }

  TinyModel model_;
  std::shared_ptr<const Tokenizer> tokenizer_ = *Tokenizer::Load(model_.dir());
  std::shared_ptr<GrammarCompiler> compiler_ = GrammarCompiler::Start(tokenizer_);
};

TEST_F(GrammarTest, JsonFollowsItsSchema) {
  const Grammar schema = {Kind::kJsonSchema, R"({"type":"object","properties":{
      "name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150}},
      "required":["name","age"],"additionalProperties":false})"};
  EXPECT_TRUE(Accepts(schema, R"({"name":"Ann","age":42})"));
  EXPECT_TRUE(Accepts(schema, "{\n  \"name\": \"Ann\",\n  \"age\": 42\n}"));
  EXPECT_FALSE(Accepts(schema, R"({"name":"Ann"})"));
  EXPECT_FALSE(Accepts(schema, R"({"name":"Ann","age":151})"));
  EXPECT_FALSE(Accepts(schema, R"({"name":"Ann","age":42,"more":1})"));
  EXPECT_FALSE(Accepts(schema, R"(  {"name":"Ann","age":42})"));
}

TEST_F(GrammarTest, DatesExist) {
  const Grammar schema = {Kind::kJsonSchema,
                          R"({"type":"array","items":{"anyOf":[{"$ref":"#/$defs/day"},
      {"type":"object","properties":{"format":{"type":"string","format":"date-time"}}},
      {"const":{"format":"date"}}]},"$defs":{"day":{"type":"string","format":"date"}}})"};
  for (const char* day : {"2024-02-29", "2000-02-29", "0400-02-29", "1996-02-29", "0001-01-01",
                          "9999-12-31", "2023-02-28", "2023-11-30"}) {
    EXPECT_TRUE(Accepts(schema, absl::StrCat("[\"", day, "\"]"))) << day;
  }
  for (const char* day : {"2023-02-29", "1900-02-29", "1299-02-29", "0000-01-01", "2024-02-30",
                          "2023-11-31", "2023-13-01", "2023-00-10", "2023-01-00", "0000-02-29"}) {
    EXPECT_FALSE(Accepts(schema, absl::StrCat("[\"", day, "\"]"))) << day;
  }
  EXPECT_TRUE(Accepts(schema, R"([{"format":"2024-02-29T23:59:59.25+01:00"}])"));
  EXPECT_FALSE(Accepts(schema, R"([{"format":"2023-02-29T23:59:59Z"}])"));
  EXPECT_TRUE(Accepts(schema, R"([{"format":"date"}])"));  // data, no format
}

TEST_F(GrammarTest, BlanksBetweenTokensEnd) {
  EXPECT_TRUE(Accepts({Kind::kJsonObject}, "{\n" + std::string(20, ' ') + "}"));
  EXPECT_TRUE(Accepts({Kind::kJsonObject}, "{\n\t\t\"a\": 1\n}"));
  EXPECT_FALSE(Follow({Kind::kJsonObject}, "{\n" + std::string(21, ' ')).all);
  EXPECT_FALSE(Follow({Kind::kJsonObject}, "{  ").all);
  EXPECT_FALSE(Follow({Kind::kJsonObject}, "{\n\n").all);
}

TEST_F(GrammarTest, AnyObjectIsAnObject) {
  EXPECT_TRUE(Accepts({Kind::kJsonObject}, R"({"a":[1,2.5e3,{"b":null}],"c":"\n\té"})"));
  EXPECT_FALSE(Accepts({Kind::kJsonObject}, "[1]"));
  EXPECT_FALSE(Accepts({Kind::kJsonObject}, R"({"a":01})"));
}

TEST_F(GrammarTest, RegexChoiceAndGrammarsAreOfTheWholeAnswer) {
  EXPECT_TRUE(Accepts({Kind::kRegex, R"(\d{3}-\d{4})"}, "555-1234"));
  EXPECT_FALSE(Accepts({Kind::kRegex, R"(\d{3}-\d{4})"}, "555-123"));
  EXPECT_TRUE(Accepts({Kind::kChoice, R"(["yes","no \"thanks\""])"}, "no \"thanks\""));
  EXPECT_FALSE(Follow({Kind::kChoice, R"(["yes","no"])"}, "may").all);
  const Grammar lark = {Kind::kGrammar,
                        "start: sum\nsum: NUMBER (\"+\" NUMBER)*\nNUMBER: /[0-9]+/\n"};
  EXPECT_TRUE(Accepts(lark, "17+25+3"));
  EXPECT_FALSE(Accepts(lark, "17+"));
  const Grammar gbnf = {Kind::kGrammar, "root ::= num (\"+\" num)*\nnum ::= [0-9]+\n"};
  EXPECT_TRUE(Accepts(gbnf, "17+25+3"));
  EXPECT_FALSE(Accepts(gbnf, "17+"));
}

TEST_F(GrammarTest, BehindReasoningLineBreaksMayComeFirst) {
  const Grammar choice = {Kind::kChoice, R"(["yes"])", /*after_token=*/1};
  for (const char* text : {"yes", "\nyes", "\n\nyes"}) EXPECT_TRUE(Accepts(choice, text)) << text;
  EXPECT_FALSE(Accepts(choice, "\n\n\nyes"));
}

TEST_F(GrammarTest, ACompleteAnswerOnlyEnds) {
  auto position = compiler_->Compile({Kind::kChoice, R"(["a"])"});
  ASSERT_TRUE(position.ok());
  ASSERT_TRUE(position->Consume('a').ok());
  std::vector<uint32_t> words((tokenizer_->vocab_size() + 31) / 32);
  EXPECT_TRUE(*position->Mask(words));
  for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
    EXPECT_EQ((words[id / 32] >> id % 32 & 1) != 0, id == kEos) << id;
  }
  EXPECT_TRUE(position->Consume('b').ok());  // no part of it
  EXPECT_TRUE(*position->Mask(words));
}

TEST_F(GrammarTest, ATokenThatBreaksItIsAnError) {
  auto position = compiler_->Compile({Kind::kChoice, R"(["a"])"});
  EXPECT_TRUE(absl::IsInvalidArgument(position->Consume('b')));
}

TEST_F(GrammarTest, PositionsAreIndependent) {
  auto one = compiler_->Compile({Kind::kRegex, "a[bc]"});
  auto other = compiler_->Compile({Kind::kRegex, "a[bc]"});
  EXPECT_TRUE(one->Consume('a').ok());
  EXPECT_TRUE(other->Consume('a').ok());
  EXPECT_TRUE(one->Consume('b').ok());
  EXPECT_TRUE(other->Consume('c').ok());
}

TEST_F(GrammarTest, WhatCannotBeCompiledIsSaid) {
  EXPECT_THAT(Refusal({Kind::kJsonSchema, "{"}), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal({Kind::kJsonSchema, "[]"}), HasSubstr("must be an object"));
  EXPECT_THAT(Refusal({Kind::kJsonSchema, R"({"type":"number","minimum":3,"maximum":1})"}),
              HasSubstr("nsatisfiable"));
  EXPECT_THAT(Refusal({Kind::kJsonSchema, R"({"type":"string","format":"sonnet"})"}),
              HasSubstr("sonnet"));
  EXPECT_THAT(Refusal({Kind::kJsonSchema, R"({"$ref":"#/$defs/none"})"}), HasSubstr("none"));
  const std::string cycle = R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})";
  EXPECT_THAT(Refusal({Kind::kJsonSchema, cycle}), HasSubstr("nothing can be said"));
  EXPECT_THAT(Refusal({Kind::kJsonSchema, cycle, /*after_token=*/1}),
              HasSubstr("nothing can be said"));
  EXPECT_NE(Refusal({Kind::kRegex, "(a"}), "");
  EXPECT_NE(Refusal({Kind::kRegex, R"((a)\1)"}), "");
  EXPECT_THAT(Refusal({Kind::kChoice, "[]"}), HasSubstr("at least one"));
  EXPECT_THAT(Refusal({Kind::kChoice, R"(["a",3])"}), HasSubstr("array of strings"));
  EXPECT_NE(Refusal({Kind::kGrammar, "start: nothing_defined"}), "");
  EXPECT_THAT(Refusal({Kind::kGrammar, "item ::= \"a\""}), HasSubstr("root"));
  EXPECT_NE(Refusal({Kind::kGrammar, ""}), "");
}

TEST_F(GrammarTest, WhatTakesTooMuchIsRefusedSoon) {
  std::string many = R"({"type":"string","pattern":"^(a|b)*a(a|b){2000}$"})";
  const auto began = std::chrono::steady_clock::now();
  const auto position = compiler_->Compile({Kind::kJsonSchema, many});
  const auto nested = [](const std::string& open, const std::string& close) {
    std::string text;
    for (int i = 0; i < 32'000; ++i) text += open;
    text += "\"a\"";
    for (int i = 0; i < 32'000; ++i) text += close;
    return text;
  };
  EXPECT_NE(Refusal({Kind::kRegex, nested("(", ")")}), "");
  EXPECT_NE(Refusal({Kind::kGrammar, "start: " + nested("(", ")")}), "");
  EXPECT_NE(Refusal({Kind::kGrammar, "start: " + nested("[", "]")}), "");
  EXPECT_NE(Refusal({Kind::kGrammar, "start: A\nA: " + nested("(", ")")}), "");
  EXPECT_NE(Refusal({Kind::kGrammar, "start: A\nA: " + nested("~", "")}), "");
  EXPECT_NE(Refusal({Kind::kGrammar, "root ::= " + nested("(", ")")}), "");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

TEST_F(GrammarTest, ControlTokensMatchNoText) {
  auto position = compiler_->Compile({Kind::kRegex, "(?s:.*)"});
  std::vector<uint32_t> words((tokenizer_->vocab_size() + 31) / 32);
  ASSERT_TRUE(position->Mask(words).ok());
  const auto allows = [&](TokenId id) { return (words[id / 32] >> id % 32 & 1) != 0; };
  EXPECT_FALSE(allows(tokenizer_->TokenToId("<bos>")));
  EXPECT_TRUE(allows(tokenizer_->TokenToId("<think>")));  // not special: text like any other
  EXPECT_TRUE(allows(kEos));                              // it may end
}

TEST_F(GrammarTest, ManyThreadsCompileAndFollow) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(Accepts({Kind::kRegex, "x{" + std::to_string(1 + (t + i) % 70) + "}"},
                            std::string(1 + (t + i) % 70, 'x')));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace weft::text
