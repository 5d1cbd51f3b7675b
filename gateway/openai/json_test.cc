#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gateway/openai/json_reader.h"
#include "gateway/openai/json_writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "text/utf8.h"

namespace weft::openai {
namespace {

using text::ToUtf8;

using ::testing::HasSubstr;
namespace json = boost::json;

std::string Complaint(std::string_view text) {
  const auto value = ParseJson(text);
  return value.ok() ? "(accepted) " + json::serialize(*value)
                    : std::string(value.status().message());
}

TEST(JsonReader, ReadsEveryKindOfValue) {
  const std::string text =
      R"({"a":[1,-2,1.5e3,true,false,null,"x\n\u00e4\ud83d\ude00"],"b":{"a":{}},"c":9223372036854775807})";
  const auto value = ParseJson(text);
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, json::parse(text));
  EXPECT_TRUE(ParseJson(" [1] \r\n\t").ok());
}

TEST(JsonReader, SaysWhatIsWrong) {
  EXPECT_THAT(Complaint(""), HasSubstr("empty"));
  EXPECT_THAT(Complaint("   "), HasSubstr("ends too early"));
  EXPECT_THAT(Complaint(R"({"a":1)"), HasSubstr("ends too early"));
  EXPECT_THAT(Complaint(R"({"a":"b)"), HasSubstr("ends too early"));
  EXPECT_THAT(Complaint("{} {}"), HasSubstr("follows its end"));
  EXPECT_THAT(Complaint("{}x"), HasSubstr("follows its end, at byte 2"));
  EXPECT_THAT(Complaint(std::string("{}\0", 3)), HasSubstr("follows its end"));
  EXPECT_THAT(Complaint("\xEF\xBB\xBF{}"), HasSubstr("byte order mark"));
  EXPECT_THAT(Complaint("[\"\xc3\xa4\xff\"]"), HasSubstr("not UTF-8 at byte 4"));
  EXPECT_THAT(Complaint("[\"\xc3\xa4\", x]"), HasSubstr("syntax error at byte 7"));
  EXPECT_THAT(Complaint(R"({"a":1,"b":2,"a":3})"), HasSubstr("\"a\" stands twice"));
  EXPECT_THAT(Complaint(R"({"x":[{"a":1,"\u0061":2}]})"), HasSubstr("\"a\" stands twice"));
  EXPECT_THAT(Complaint(R"({"a":1e400})"), HasSubstr("too large"));
  EXPECT_THAT(Complaint(R"({"a":-1e400})"), HasSubstr("too large"));
}

TEST(JsonReader, RefusesWhatIsNoJson) {
  for (const std::string& text : std::initializer_list<std::string>{"{",
                                                                    "}",
                                                                    "[1,]",
                                                                    "{\"a\":1,}",
                                                                    "{a:1}",
                                                                    "{'a':1}",
                                                                    "NaN",
                                                                    "[NaN]",
                                                                    "[Infinity]",
                                                                    "[-Infinity]",
                                                                    "[01]",
                                                                    "[+1]",
                                                                    "[.5]",
                                                                    "[1.]",
                                                                    "[0x1]",
                                                                    "tru",
                                                                    "\"a",
                                                                    "\"\x01\"",
                                                                    "\"\n\"",
                                                                    "\"\\x\"",
                                                                    "\"\\u12\"",
                                                                    "// c\n1",
                                                                    "/* */1",
                                                                    "\"\xff\"",
                                                                    "\"\xc3\"",
                                                                    "\"\xc0\xaf\"",
                                                                    "\"\xed\xa0\x80\"",
                                                                    "\"\xf4\x90\x80\x80\"",
                                                                    "\"\\ud800\"",
                                                                    "\"\\ud800x\"",
                                                                    "\"\\ud800\\u0041\"",
                                                                    "\"\\udc00\"",
                                                                    "1e99999999999",
                                                                    "[1e309]"}) {
    EXPECT_THAT(Complaint(text), HasSubstr("not valid JSON")) << text;
  }
}

TEST(JsonReader, KeysOfDifferentObjectsMayBeAlike) {
  EXPECT_TRUE(ParseJson(R"([{"a":{"a":1},"b":{"a":1}},{"a":1}])").ok());
}

TEST(JsonReader, DepthIsBoundedAndLargeDepthIsHarmless) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_TRUE(ParseJson(nested(kMaxJsonDepth)).ok());
  EXPECT_THAT(Complaint(nested(kMaxJsonDepth + 1)), HasSubstr("nested"));
  EXPECT_THAT(Complaint(nested(100'000)), HasSubstr("nested"));
  EXPECT_THAT(Complaint(std::string(100'000, '[')), HasSubstr("nested"));
}

TEST(JsonReader, ManyKeysAreReadInTime) {
  std::string text = "{\"k\":0";
  for (int i = 0; i < 100'000; ++i) absl::StrAppend(&text, ",\"", i, "\":1");
  EXPECT_TRUE(ParseJson(text + "}").ok());
  EXPECT_THAT(Complaint(text + ",\"77\":1}"), HasSubstr("\"77\" stands twice"));
}

// Mutated bodies: never a crash, and what is accepted is what Boost reads too.
TEST(JsonReader, MutationsAreReadAsBoostReadsThemOrRefused) {
  const char* given = std::getenv("WEFT_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("replay with WEFT_TEST_SEED=", seed));
  std::mt19937_64 random(seed);
  const std::string origin =
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"h\u00e4\ud83d\ude00"}]}],"n":1,"temperature":0.5e0,"stop":null,"logit_bias":{"5":-1}})";
  constexpr std::string_view kBytes = "{}[]\",:\\u0d9eE+-.\n\x80\xff";
  for (int round = 0; round < 30000; ++round) {
    std::string text = origin;
    for (uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, 1 + random() % 5);
      else if (random() % 2 == 0)
        text[at] = kBytes[random() % kBytes.size()];
      else
        text.insert(at, text.substr(random() % text.size(), random() % 20));
      if (text.empty()) break;
    }
    const auto ours = ParseJson(text);
    boost::system::error_code error;
    const json::value theirs = json::parse(text, error);
    if (ours.ok()) {
      ASSERT_FALSE(error) << text;
      ASSERT_EQ(*ours, theirs) << text;
    }
  }
}

TEST(JsonWriter, QuotesWhatMustBeQuoted) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80";
  std::string out;
  AppendQuoted(out, all);
  EXPECT_EQ(json::parse(out), json::value(json::string(all)));
  out.clear();
  AppendQuoted(out, "a\"b\\c\n\x1f");
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\u001f\"");
}

TEST(JsonWriter, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(ToUtf8("a\xff"
                   "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(ToUtf8("\xe4\xbd"), "\xEF\xBF\xBD") << "one for the part of a character";
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(ToUtf8("\xc3\xa4\xf0\x9f\x98\x80"), "\xc3\xa4\xf0\x9f\x98\x80");
  EXPECT_EQ(NumCharacters("a\xc3\xa4\xf0\x9f\x98\x80"), 3u);
}

TEST(JsonWriter, LogprobsReadBackAsTheyWere) {
  for (const float value : {-0.1f, 0.0f, -1e-8f, -12345.678f, -1.17549435e-38f}) {
    std::string out;
    AppendLogprob(out, value);
    EXPECT_EQ(static_cast<float>(json::parse(out).to_number<double>()), value) << out;
  }
  for (const float value : {-std::numeric_limits<float>::infinity(), std::nanf("")}) {
    std::string out;
    AppendLogprob(out, value);
    EXPECT_EQ(out, "-9999");
  }
}

}  // namespace
}  // namespace weft::openai
