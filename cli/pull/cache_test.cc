#include "cli/pull/cache.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace weft::pull {
namespace {

namespace fs = std::filesystem;

const std::string kCommit(40, 'c');
const HubFile kConfig{
    .name = "config.json", .size = 2, .digest = {Digest::Kind::kGitBlob, std::string(40, 'b')}};

std::string Read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

struct CacheTest : ::testing::Test {
  ~CacheTest() override { fs::remove_all(folder); }
  fs::path Snapshot(const char* name) const { return fs::path(cache.SnapshotPath(kCommit)) / name; }

  const std::string folder = ::testing::TempDir() + "pull-cache";
  const std::string repo = folder + "/models--acme--tiny";
  const RepoCache cache{folder, "acme/tiny"};
};

TEST_F(CacheTest, IsLaidOutAsOtherToolsDo) {
  ASSERT_TRUE(cache.Prepare().ok());
  EXPECT_FALSE(cache.Has(kCommit, kConfig));
  Write(cache.BlobPath(kConfig.digest), "{}");
  EXPECT_TRUE(cache.Has(kCommit, kConfig));
  ASSERT_TRUE(cache.Link(kCommit, kConfig).ok());
  ASSERT_TRUE(cache.WriteRef("refs/pr/1", kCommit).ok());

  EXPECT_EQ(fs::read_symlink(repo + "/snapshots/" + kCommit + "/config.json"),
            "../../blobs/" + kConfig.digest.hex);
  EXPECT_EQ(Read(Snapshot("config.json")), "{}");
  EXPECT_EQ(Read(repo + "/refs/refs/pr/1"), kCommit);
  EXPECT_EQ(cache.LockPath(kConfig.digest),
            folder + "/.locks/models--acme--tiny/" + kConfig.digest.hex + ".lock");
}

TEST_F(CacheTest, ABlobOfAnotherSizeIsNone) {
  Write(cache.BlobPath(kConfig.digest), "{ }");
  EXPECT_FALSE(cache.Has(kCommit, kConfig));
}

TEST_F(CacheTest, ALinkToAnotherBlobIsReplacedAndAPlainFileLeft) {
  Write(cache.BlobPath(kConfig.digest), "{}");
  fs::create_directories(cache.SnapshotPath(kCommit));
  fs::create_symlink("../../blobs/other", Snapshot("config.json"));
  ASSERT_TRUE(cache.Link(kCommit, kConfig).ok());
  EXPECT_EQ(Read(Snapshot("config.json")), "{}");

  fs::remove(cache.BlobPath(kConfig.digest));
  fs::remove(Snapshot("config.json"));
  Write(Snapshot("config.json"), "[]");
  EXPECT_TRUE(cache.Has(kCommit, kConfig));
  ASSERT_TRUE(cache.Link(kCommit, kConfig).ok());
  EXPECT_FALSE(fs::is_symlink(Snapshot("config.json")));
}

TEST_F(CacheTest, ARefIsACommitOrNothing) {
  EXPECT_EQ(cache.ReadRef("main"), std::nullopt);
  EXPECT_EQ(cache.ReadRef(kCommit), kCommit);
  Write(repo + "/refs/main", "../../elsewhere");
  EXPECT_EQ(cache.ReadRef("main"), std::nullopt);
  ASSERT_TRUE(cache.WriteRef("main", kCommit).ok());
  EXPECT_EQ(cache.ReadRef("main"), kCommit);
}

TEST_F(CacheTest, ALockKeepsOthersOut) {
  ASSERT_TRUE(cache.Prepare().ok());
  const std::string path = cache.LockPath(kConfig.digest);
  {
    const auto mine = BlobLock::TryTake(path);
    ASSERT_TRUE(mine.ok() && mine->has_value());
    const auto theirs = BlobLock::TryTake(path);
    ASSERT_TRUE(theirs.ok());
    EXPECT_FALSE(theirs->has_value());
  }
  EXPECT_TRUE(BlobLock::TryTake(path).value().has_value());
}

TEST_F(CacheTest, AModelIsWholeWithEveryShardOfItsIndex) {
  const std::string model = folder + "/model";
  fs::create_directories(model);
  EXPECT_EQ(MissingFile(model, true), "config.json");
  Write(model + "/config.json", "{}");
  EXPECT_EQ(MissingFile(model, true), "tokenizer.json");
  Write(model + "/tokenizer.json", "{}");
  EXPECT_EQ(MissingFile(model, false), "");
  EXPECT_EQ(MissingFile(model, true), "model.safetensors");
  Write(model + "/model.safetensors.index.json",
        R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  Write(model + "/1.safetensors", "");
  EXPECT_EQ(MissingFile(model, true), "2.safetensors");
  Write(model + "/2.safetensors", "");
  EXPECT_EQ(MissingFile(model, true), "");
}

TEST_F(CacheTest, SpaceIsThatOfTheFileSystemEvenIfTheFolderIsYetToBe) {
  EXPECT_TRUE(CheckSpace(folder + "/not/yet", 1).ok());
  const absl::Status status = CheckSpace(folder + "/not/yet", int64_t{1} << 60);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

}  // namespace
}  // namespace weft::pull
