#include "gateway/auth/key_file.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::auth {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Hash(const char* key) { return KeyHash::Of(key).ToString(); }
std::string Entry(const std::string& name, const char* key, const std::string& more = "") {
  return absl::StrCat(R"({"name":")", name, R"(","key":")", Hash(key), "\"", more, "}");
}
absl::StatusOr<std::vector<KeyEntry>> Parse(const std::string& keys) {
  return ParseKeyFile("keys.json", absl::StrCat(R"({"keys":[)", keys, "]}"));
}

TEST(KeyFile, HoldsNamesTenantsScopesAndLimits) {
  const auto keys =
      Parse(absl::StrCat(Entry("alice", "a",
                               R"(,"tenant":"math","models":["r1","r2"],"requests_per_minute":60,)"
                               R"("tokens_per_minute":100000,"max_concurrent_requests":4)"),
                         ",", Entry("bob", "b")));
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 2u);
  const KeyEntry& alice = (*keys)[0];
  EXPECT_EQ(alice.name, "alice");
  EXPECT_TRUE(alice.hash == KeyHash::Of("a"));
  EXPECT_EQ(alice.tenant, "math");
  EXPECT_THAT(alice.models, ElementsAre("r1", "r2"));
  EXPECT_EQ(alice.limits.requests_per_minute, 60);
  EXPECT_EQ(alice.limits.tokens_per_minute, 100'000);
  EXPECT_EQ(alice.limits.concurrent_requests, 4);
  const KeyEntry& bob = (*keys)[1];
  EXPECT_EQ(bob.tenant, "bob");
  EXPECT_TRUE(bob.models.empty());
  EXPECT_EQ(bob.limits.requests_per_minute, 0);
}

TEST(KeyFile, ErrorsNameTheKeyAndTheField) {
  const auto says = [](const std::string& keys, const char* place, const char* what) {
    const auto parsed = Parse(keys);
    EXPECT_FALSE(parsed.ok()) << keys;
    EXPECT_THAT(std::string(parsed.status().message()),
                AllOf(HasSubstr("keys.json"), HasSubstr(place), HasSubstr(what)))
        << keys;
  };
  says(absl::StrCat(Entry("a", "a"), R"(,{"key":"x"})"), "keys[1]", "name");
  says(R"({"name":"a","key":"plain text"})", "key", "sha256:");
  says(R"({"name":"a"})", "key", "is missing");
  says(Entry("a b", "a"), "name", "visible ASCII");
  says(Entry("a", "a", R"(,"tenant":"")"), "tenant", "visible ASCII");
  says(Entry("a", "a", R"(,"requests_per_minut":1)"), "requests_per_minut", "no field");
  says(Entry("a", "a", R"(,"requests_per_minute":0)"), "requests_per_minute", "1");
  says(Entry("a", "a", R"(,"tokens_per_minute":"many")"), "tokens_per_minute", "many");
  says(Entry("a", "a", R"(,"max_concurrent_requests":1.5)"), "max_concurrent_requests", "1.5");
  says(Entry("a", "a", R"(,"models":"r1")"), "models", "list of served names");
  says(Entry("a", "a", R"(,"models":[])"), "models", "one at least");
  says(Entry("a", "a", R"(,"models":["r1",2])"), "models", "list of served names");
  says(absl::StrCat(Entry("a", "a"), ",", Entry("a", "b")), "keys[1]", "another key of the name a");
  says(absl::StrCat(Entry("a", "a"), ",", Entry("b", "a")), "keys[1]", "same key");
  says("7", "keys[0]", "no object");
}

TEST(KeyFile, IsOneObjectOfKeysAndNothingBeside) {
  for (const char* bad : {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[],"more":1})",
                          R"({"keys":[],"keys":[]})", R"({"keys":[]} x)"}) {
    EXPECT_FALSE(ParseKeyFile("f", bad).ok()) << bad;
  }
  EXPECT_TRUE(ParseKeyFile("f", R"({"keys":[]})").ok());
  EXPECT_FALSE(LoadKeyFile("/nowhere/keys.json").ok());
}

TEST(KeyFile, TakesTheEntriesThatAreMadeForIt) {
  const std::string entry = FormatKeyEntry("al\"ice", "math", KeyHash::Of("k"));
  const auto keys = Parse(entry);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ((*keys)[0].name, "al\"ice");
  EXPECT_EQ((*keys)[0].tenant, "math");
  EXPECT_TRUE((*keys)[0].hash == KeyHash::Of("k"));
}

}  // namespace
}  // namespace weft::auth
