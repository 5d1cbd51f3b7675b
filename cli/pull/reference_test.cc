#include "cli/pull/reference.h"

#include "gtest/gtest.h"

namespace weft::pull {
namespace {

TEST(Reference, SchemeAndRevisionMayBeLeftOut) {
  for (const char* text : {"acme/tiny", "hf://acme/tiny", "acme/tiny@main"}) {
    const auto reference = ParseReference(text);
    ASSERT_TRUE(reference.ok()) << text;
    EXPECT_EQ(reference->repo, "acme/tiny");
    EXPECT_EQ(reference->revision, "main");
  }
  const auto reference = ParseReference("hf://deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B@refs/pr/4");
  ASSERT_TRUE(reference.ok());
  EXPECT_EQ(reference->repo, "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B");
  EXPECT_EQ(reference->revision, "refs/pr/4");
}

TEST(Reference, WhatTheHubCannotHaveIsRefused) {
  for (const char* text : {"", "tiny", "/tiny", "acme/", "a/b/c", "./acme", "../tiny", "acme/..",
                           "acme/.tiny", "acme/a--b", "acme/a..b", "acme/tiny-", "-a/b",
                           "ac me/tiny", "s3://acme/tiny", "acme/ti\ny"}) {
    EXPECT_FALSE(ParseReference(text).ok()) << text;
  }
  EXPECT_FALSE(ParseReference("acme/" + std::string(97, 'x')).ok());
}

TEST(Reference, ARevisionIsAPathThatStaysBelow) {
  for (const char* revision :
       {"", "..", "a/../b", "/a", "a/", "a//b", ".a", "a\\b", "a b", "a\nb"}) {
    EXPECT_FALSE(ParseReference(std::string("acme/tiny@") + revision).ok()) << revision;
  }
}

TEST(Reference, ACommitIsFortyLowerCaseDigits) {
  EXPECT_TRUE(IsCommit("0123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommit("0123456789ABCDEF0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommit("0123456789abcdef0123456789abcdef0123456"));
  EXPECT_FALSE(IsCommit("main"));
}

}  // namespace
}  // namespace weft::pull
