#include "cli/pull/hub.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::pull {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kCommit(40, 'c');
const std::string kBlob(40, 'b');
const std::string kSha(64, 'a');

std::string ListingOf(const std::string& siblings) {
  return R"({"id": "acme/tiny", "private": false, "sha": ")" + kCommit + R"(", "siblings": [)" +
         siblings + "]}";
}

std::string Sibling(const std::string& name) {
  return R"({"rfilename": ")" + name + R"(", "size": 3, "blobId": ")" + kBlob + R"("})";
}

TEST(Hub, LargeFilesHaveTheirOwnDigestAndSmallOnesGits) {
  const auto listing = ParseListing(ListingOf(
      Sibling("config.json") + R"(, {"rfilename": "model.safetensors", "size": 134, "blobId": ")" +
      kBlob + R"(", "lfs": {"sha256": ")" + kSha +
      R"(", "size": 5000000000, "pointerSize": 134}})"));
  ASSERT_TRUE(listing.ok()) << listing.status();
  EXPECT_EQ(listing->commit, kCommit);
  const HubFile* config = listing->Find("config.json");
  ASSERT_NE(config, nullptr);
  EXPECT_EQ(config->digest.kind, Digest::Kind::kGitBlob);
  EXPECT_EQ(config->digest.hex, kBlob);
  EXPECT_EQ(config->size, 3);
  const HubFile* weights = listing->Find("model.safetensors");
  ASSERT_NE(weights, nullptr);
  EXPECT_EQ(weights->digest.kind, Digest::Kind::kSha256);
  EXPECT_EQ(weights->digest.hex, kSha);
  EXPECT_EQ(weights->size, 5'000'000'000);
}

TEST(Hub, WhatWeftDoesNotReadIsLeftOut) {
  std::string siblings = Sibling("tokenizer.json");
  for (const char* name : {"pytorch_model.bin", "model.pt", "modeling.py", "README.md",
                           "onnx/config.json", "sub/model.safetensors", "vocab.txt"}) {
    siblings += ", " + Sibling(name);
  }
  const auto listing = ParseListing(ListingOf(siblings));
  ASSERT_TRUE(listing.ok()) << listing.status();
  ASSERT_EQ(listing->files.size(), 1u);
  EXPECT_EQ(listing->files[0].name, "tokenizer.json");
}

TEST(Hub, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name :
       {"../config.json", "a/../../b", "/etc/passwd", "a//b", "./a", "", R"(a\\b)"}) {
    EXPECT_THAT(ParseListing(ListingOf(Sibling(name))).status().message(),
                HasSubstr("leaves its folder"))
        << name;
  }
}

TEST(Hub, AddressesAreEncoded) {
  const ModelReference reference{.repo = "acme/tiny", .revision = "refs/pr/1"};
  EXPECT_EQ(ListingUrl("https://hub", reference),
            "https://hub/api/models/acme/tiny/revision/refs%2Fpr%2F1?blobs=true");
  EXPECT_EQ(FileUrl("https://hub", "acme/tiny", kCommit, "model a?.safetensors"),
            "https://hub/acme/tiny/resolve/" + kCommit + "/model%20a%3F.safetensors");
}

TEST(Hub, AnIndexNamesEachShardOnceAndOnlyShards) {
  const auto shards = ParseIndex(
      R"({"metadata": {"total_size": 9},
          "weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}})");
  ASSERT_TRUE(shards.ok()) << shards.status();
  EXPECT_THAT(*shards, ElementsAre("m-1.safetensors", "m-2.safetensors"));
  for (const char* name : {"../m.safetensors", "a/m.safetensors", "m.bin", ".safetensors", "",
                           R"(m\u0000.safetensors)"}) {
    EXPECT_FALSE(ParseIndex(R"({"weight_map": {"a": ")" + std::string(name) + R"("}})").ok())
        << name;
  }
  EXPECT_FALSE(ParseIndex("{}").ok());
}

}  // namespace
}  // namespace weft::pull
