#include "common/json_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

JsonFields Parsed(const std::string& text) {
  auto json = JsonFields::Parse("a.json", text);
  EXPECT_TRUE(json.ok()) << json.status();
  return *std::move(json);
}

std::string Refusal(const std::string& text) {
  return std::string(JsonFields::Parse("a.json", text).status().message());
}

TEST(JsonFieldsTest, FieldsAreReadByType) {
  JsonFields json = Parsed(R"({"i":3,"n":0.5,"b":true,"s":"x","l":[1,2],"z":null})");
  EXPECT_EQ(json.Int("i", {0, 9}), 3);
  EXPECT_EQ(json.Number("n"), 0.5);
  EXPECT_EQ(json.Number("i"), 3);
  EXPECT_TRUE(json.Bool("b"));
  EXPECT_EQ(json.String("s"), "x");
  EXPECT_THAT(json.Ints("l", {0, 9}), ElementsAre(1, 2));
  EXPECT_THAT(json.Ints("i", {0, 9}), ElementsAre(3));
  EXPECT_THAT(json.Ints("absent", {0, 9}), IsEmpty());
  EXPECT_FALSE(json.Has("z"));
  EXPECT_EQ(json.Int("z", {0, 9}, 7), 7) << "null is as if absent";
  EXPECT_TRUE(json.status().ok()) << json.status();
}

TEST(JsonFieldsTest, TheFirstThingWrongIsKept) {
  JsonFields json = Parsed(R"({"i":"three","n":true})");
  json.Int("i", {0, 9});
  json.Number("n");
  json.Bool("absent");
  EXPECT_EQ(json.status().message(), "a.json: i must be an integer between 0 and 9, not \"three\"");
}

TEST(JsonFieldsTest, WrongTypesAndRangesAreErrors) {
  const auto wrong = [](auto read) {
    JsonFields json = Parsed(
        R"({"i":10,"f":1.5,"big":18446744073709551615,"n":"x","b":1,"s":2,"l":[1,"x"],"o":{}})");
    read(json);
    return !json.status().ok();
  };
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Int("i", {0, 9}); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Int("f", {0, 9}); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Int("big", {0, INT64_MAX}); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Int("absent", {0, 9}); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Ints("l", {0, 9}); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Ints("o", {0, 9}); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Number("n"); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.Bool("b"); }));
  EXPECT_TRUE(wrong([](JsonFields& j) { j.String("s"); }));
}

TEST(JsonFieldsTest, TextThatIsNoSoundObjectIsRefused) {
  EXPECT_THAT(Refusal(""), HasSubstr("a.json: not JSON"));
  EXPECT_THAT(Refusal("{"), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal("{} x"), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(Refusal(R"({"a":1,"a":2})"), HasSubstr("\"a\" stands twice"));
  EXPECT_THAT(Refusal(R"({"x":{"a":1,"b":[{"c":1,"c":2}]}})"), HasSubstr("\"c\" stands twice"));
  EXPECT_THAT(Refusal(R"({"\u0061":1,"a":2})"), HasSubstr("\"a\" stands twice"));
  EXPECT_TRUE(JsonFields::Parse("a.json", R"({"a":{"b":1},"b":{"a":1}} )").ok());
  EXPECT_THAT(Refusal(std::string(100'000, '[')), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal("{\"a\":" + std::string(100'000, '{')), HasSubstr("not JSON"));
}

TEST(JsonFieldsTest, FilesAreReadWholeOrNamed) {
  EXPECT_TRUE(absl::IsNotFound(JsonFields::Load("/nowhere/a.json").status()));
  EXPECT_FALSE(ReadFile("/", 10).ok());
  EXPECT_THAT(std::string(ReadFile("/proc/self/exe", 10).status().message()),
              HasSubstr("at most 10 are read"));
}

}  // namespace
}  // namespace weft
