#include "cli/pull/digest.h"

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace weft::pull {
namespace {

struct DigestTest : ::testing::Test {
  DigestTest() { std::ofstream(path) << "hello\nmore"; }
  ~DigestTest() override { std::filesystem::remove(path); }

  const std::string path = ::testing::TempDir() + "digest";
  std::atomic<bool> stop = false;
};

// As `printf 'hello\n' | git hash-object --stdin` and `| sha256sum` say.
constexpr char kGitBlob[] = "ce013625030ba8dba906f756967f9e9ca394464a";
constexpr char kSha256[] = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

TEST_F(DigestTest, AreThoseOfGitAndOfTheFirstBytesAlone) {
  EXPECT_EQ(HashFile(path, 6, Digest::Kind::kGitBlob, stop).value(), kGitBlob);
  EXPECT_EQ(HashFile(path, 6, Digest::Kind::kSha256, stop).value(), kSha256);
}

TEST_F(DigestTest, AFileThatIsTooShortOrMissingIsAnError) {
  EXPECT_TRUE(absl::IsDataLoss(HashFile(path, 11, Digest::Kind::kSha256, stop).status()));
  EXPECT_TRUE(absl::IsNotFound(HashFile(path + "x", 1, Digest::Kind::kSha256, stop).status()));
  stop = true;
  EXPECT_TRUE(absl::IsCancelled(HashFile(path, 6, Digest::Kind::kSha256, stop).status()));
}

TEST(Digest, NamesNoOtherFolder) {
  EXPECT_TRUE(IsWellFormed({Digest::Kind::kSha256, kSha256}));
  EXPECT_TRUE(IsWellFormed({Digest::Kind::kGitBlob, kGitBlob}));
  EXPECT_FALSE(IsWellFormed({Digest::Kind::kSha256, kGitBlob}));
  EXPECT_FALSE(IsWellFormed({Digest::Kind::kGitBlob, ""}));
  EXPECT_FALSE(IsWellFormed({Digest::Kind::kGitBlob, std::string(37, 'a') + "/.."}));
}

}  // namespace
}  // namespace weft::pull
