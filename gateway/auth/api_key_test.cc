#include "gateway/auth/api_key.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::auth {
namespace {

using ::testing::HasSubstr;

// printf %s abc | sha256sum
constexpr char kAbc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(KeyHash, IsTheKeysSha256) {
  EXPECT_EQ(KeyHash::Of("abc").ToString(), kAbc);
  EXPECT_TRUE(*KeyHash::Parse(kAbc) == KeyHash::Of("abc"));
  EXPECT_FALSE(KeyHash::Of("abd") == KeyHash::Of("abc"));
  std::string upper = kAbc;
  for (char& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  EXPECT_FALSE(KeyHash::Parse(upper).ok()) << "the prefix is in lower case";
  EXPECT_TRUE(*KeyHash::Parse("sha256:" + upper.substr(7)) == KeyHash::Of("abc"));
}

TEST(KeyHash, SaysWhatItShouldLookLike) {
  for (const std::string& bad :
       {std::string(), std::string(kAbc + 7), std::string(kAbc).substr(0, 70),
        std::string(kAbc) + "0", "sha256:" + std::string(64, 'g'), std::string("abc")}) {
    const auto hash = KeyHash::Parse(bad);
    ASSERT_FALSE(hash.ok()) << bad;
    EXPECT_THAT(std::string(hash.status().message()), HasSubstr("64 hexadecimal digits"));
  }
}

TEST(NewApiKey, IsLongAndNeverTheSame) {
  const std::string key = NewApiKey();
  EXPECT_EQ(key.size(), 51u);
  EXPECT_TRUE(ValidateApiKey(key).ok());
  EXPECT_NE(key, NewApiKey());
}

TEST(ValidateApiKey, TakesWhatFitsInAHeader) {
  EXPECT_TRUE(ValidateApiKey("secret").ok());
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\n"),
                                 std::string("\xc3\xa9"), std::string(513, 'a')}) {
    EXPECT_FALSE(ValidateApiKey(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace weft::auth
