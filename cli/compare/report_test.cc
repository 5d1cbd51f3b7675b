#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "cli/compare/comparison.h"
#include "cli/compare/format.h"
#include "cli/compare/html.h"
#include "cli/compare/markdown.h"
#include "cli/compare/plot_svg.h"

namespace weft::compare {
namespace {

std::set<std::string> Words(std::string_view text, bool (*belongs)(unsigned char)) {
  std::set<std::string> words;
  std::string word;
  for (const char letter : std::string(text) + " ") {
    if (belongs(static_cast<unsigned char>(letter))) {
      word += letter;
    } else if (!word.empty()) {
      words.insert(std::exchange(word, ""));
    }
  }
  return words;
}

bool IsPlaceholder(unsigned char letter) { return letter == '$' || absl::ascii_isdigit(letter); }

TEST(Texts, BothLanguagesSayEverything) {
  std::set<std::string_view> keys;
  for (const Text& text : Texts()) {
    SCOPED_TRACE(text.key);
    EXPECT_TRUE(keys.insert(text.key).second) << "twice";
    EXPECT_FALSE(text.en.empty());
    EXPECT_FALSE(text.zh.empty());
    for (const std::string& word : Words(text.en, IsPlaceholder)) {
      if (!word.starts_with('$')) continue;
      EXPECT_NE(text.zh.find(word), std::string_view::npos) << word;
    }
  }
}

TEST(Texts, ChineseHoldsNoEnglishButNamesAndUnits) {
  const std::set<std::string> kept = {"A",    "B",    "CPU", "CUDA", "GB", "GPU",
                                      "GSM",  "HTML", "ITL", "K",    "KV", "TTFT",
                                      "Weft", "int",  "ms",  "s",    "t",  "tok"};
  for (const Text& text : Texts()) {
    for (const std::string& word :
         Words(text.zh, [](unsigned char letter) { return absl::ascii_isalpha(letter); })) {
      EXPECT_TRUE(kept.contains(word)) << text.key << ": " << word;
    }
  }
}

TEST(Format, ThreeDigitsAndAUnit) {
  EXPECT_EQ(Number(0), "0");
  EXPECT_EQ(Number(1), "1.00");
  EXPECT_EQ(Number(81.24), "81.2");
  EXPECT_EQ(Number(1386.4), "1,386");
  EXPECT_EQ(Number(1'002'003), "1,002,003");
  EXPECT_EQ(Number(std::numeric_limits<double>::infinity()), "∞");
  EXPECT_EQ(Number(2.5e12), "2.5e+12");
  EXPECT_EQ(Figure(Quantity::kTime, 1234), "1.23 s");
  EXPECT_EQ(Figure(Quantity::kBytes, 3554214621), "3.55 GB");
  const Estimate estimate{.value = 1010, .interval = Interval{.low = 990, .high = 1030}, .num = 5};
  EXPECT_EQ(Figure(Quantity::kTime, estimate), "1.01 [0.990–1.03] s");
  EXPECT_EQ(PercentRange(0.118, 0.152), "12–15%");
  EXPECT_EQ(PercentRange(0.121, 0.122), "12%");
  EXPECT_EQ(PercentRange(0.0004, 0.031), "0.040–3.1%");
}

Comparison Small() {
  return {.date = "2026-11-27",
          .a = {.name = "a <1>", .model = "m", .server = "s", .command = "run & wait"},
          .b = {.name = "甲", .model = "m", .server = "s", .command = ""},
          .rows = {{.task = "serving",
                    .metric = "ttft_p50",
                    .detail = "512 → 128",
                    .quantity = Quantity::kTime,
                    .a = {10.0, std::nullopt, 11.0},
                    .b = {20.0, 21.0, 22.0},
                    .bound_a = Bound{.is_upper = false, .value = 12, .arithmetic = "6 + 6"}},
                   {.metric = "disk",
                    .quantity = Quantity::kBytes,
                    .a = {5e9},
                    .b = {4e9},
                    .is_exact = true}},
          .accuracy = {{.name = "GSM8K", .a = {1, 0, 0.5}, .b = {}, .tokens_a = 300}},
          .plots = {{.kind = PlotKind::kThroughput,
                     .a = {{.x = 0, .y = 1}, {.x = 4, .y = 2, .interval = Interval{1, 3}}}}},
          .environment = {{.name = "gpu", .value = "H200"}},
          .commands = {"weft bench"},
          .warnings = {{.en = "shared", .zh = "共用"}}};
}

TEST(Comparison, ASavedOneRendersTheSame) {
  const Comparison comparison = Small();
  const std::string json = ToJson(comparison);
  const auto read = ParseComparison("saved", json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), json);
  for (const Language language : {Language::kEnglish, Language::kChinese}) {
    const Page page = MakePage(comparison, language), again = MakePage(*read, language);
    EXPECT_EQ(Html({page}), Html({again}));
    EXPECT_EQ(Markdown(page), Markdown(again));
  }
}

TEST(Comparison, SharesArePartsOfOne) {
  const auto refused = [](const std::string& points) {
    return ParseComparison("saved", R"({"a": {"name": "x"}, "b": {"name": "y"}, "plots":
        [{"kind": "accuracy_tokens", "a": [)" +
                                        points + "]}]}")
        .status();
  };
  EXPECT_TRUE(refused(R"({"x": 300, "y": 0.76, "low": 0.7, "high": 0.8})").ok());
  const absl::Status percent = refused(R"({"x": 300, "y": 76})");
  EXPECT_TRUE(absl::StrContains(percent.message(), "saved: plots[0]: a is to have y")) << percent;
  EXPECT_FALSE(refused(R"({"x": 300, "y": 0.76, "low": 0.8, "high": 0.7})").ok());
}

TEST(Report, AFigureBeyondItsBoundIsWarnedOfWithTheArithmetic) {
  const Comparison comparison = Small();
  const std::string text = Markdown(MakePage(comparison, Language::kEnglish));
  EXPECT_TRUE(absl::StrContains(text, "beyond what the hardware can do, 12.0 ms (6 + 6)")) << text;
  Comparison slower = comparison;
  slower.rows[0].a = {13.0, 13.0, 14.0};
  EXPECT_FALSE(absl::StrContains(Markdown(MakePage(slower, Language::kEnglish)), "beyond"));
}

TEST(Plot, WhatALogarithmHasNoPlaceForIsLeftOut) {
  const Comparison comparison = Small();
  const std::string svg = PlotSvg({.plot = &comparison.plots[0]}, "a", "b");
  EXPECT_FALSE(absl::StrContains(svg, "nan") || absl::StrContains(svg, "inf")) << svg;
}

TEST(Escaped, MarkupAndControlCharactersAreText) {
  EXPECT_EQ(Escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
  EXPECT_EQ(Escaped("\x01"), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace weft::compare
