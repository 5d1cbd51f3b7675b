#include "cli/pull/materialize.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace weft::pull {
namespace {

namespace fs = std::filesystem;

struct MaterializeTest : ::testing::Test {
  MaterializeTest() {
    fs::create_directories(snapshot);
    fs::create_directories(blobs);
    for (const std::string& name : names) {
      std::ofstream(blobs + "/" + name) << name;
      fs::create_symlink("../blobs/" + name, snapshot + "/" + name);
    }
  }
  ~MaterializeTest() override { fs::remove_all(root); }

  const std::vector<std::string> names = {"config.json", "model.safetensors"};
  const std::string root = ::testing::TempDir() + "materialize";
  const std::string snapshot = root + "/snapshot", blobs = root + "/blobs", to = root + "/a/b";
};

TEST_F(MaterializeTest, WeightsAreTheSameFileAndTheRestIsACopy) {
  ASSERT_TRUE(Materialize(snapshot, names, to).ok());
  EXPECT_TRUE(fs::equivalent(to + "/model.safetensors", blobs + "/model.safetensors"));
  EXPECT_FALSE(fs::equivalent(to + "/config.json", blobs + "/config.json"));
  EXPECT_FALSE(fs::is_symlink(to + "/config.json"));
  EXPECT_EQ(fs::file_size(to + "/config.json"), names[0].size());
}

TEST_F(MaterializeTest, AFileThatHasChangedIsReplaced) {
  ASSERT_TRUE(Materialize(snapshot, names, to).ok());
  std::ofstream(to + "/config.json") << "edited";
  ASSERT_TRUE(Materialize(snapshot, names, to).ok());
  EXPECT_EQ(fs::file_size(to + "/config.json"), names[0].size());
}

TEST_F(MaterializeTest, OtherWeightsAreNotMixedIn) {
  fs::create_directories(to);
  std::ofstream(to + "/model.safetensors.index.json") << "{}";
  EXPECT_TRUE(absl::IsFailedPrecondition(Materialize(snapshot, names, to)));
  EXPECT_FALSE(fs::exists(to + "/config.json"));
}

TEST_F(MaterializeTest, AFolderThatIsNotYetThereIsOnTheFileSystemOfItsParent) {
  EXPECT_TRUE(AreOnOneFileSystem(root, to + "/not/yet"));
  EXPECT_FALSE(AreOnOneFileSystem(root, "/proc/self"));
}

}  // namespace
}  // namespace weft::pull
