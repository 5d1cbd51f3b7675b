#include "common/file_watcher.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

struct FileWatcherTest : ::testing::Test {
  FileWatcherTest()
      : folder(fs::path(::testing::TempDir()) / ("watch" + std::to_string(getpid()))) {
    fs::create_directories(folder);
  }
  ~FileWatcherTest() override { fs::remove_all(folder); }

  static void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  bool Becomes(int count) const {
    for (int i = 0; i < 1000 && num_changes < count; ++i) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    std::this_thread::sleep_for(milliseconds(20));  // and no more than that
    return num_changes == count;
  }

  const fs::path folder;
  std::atomic<int> num_changes{0};
};

TEST_F(FileWatcherTest, TellsOfWritesRenamesAndRemovalAndNothingElse) {
  const fs::path file = folder / "keys";
  Write(file, "a");
  FileWatcher watcher(
      {file}, [this] { ++num_changes; }, milliseconds(2));
  EXPECT_TRUE(Becomes(0));
  Write(folder / "beside", "x");
  EXPECT_TRUE(Becomes(0));
  Write(folder / "new", "b");
  fs::rename(folder / "new", file);
  EXPECT_TRUE(Becomes(1));
  fs::remove(file);
  EXPECT_TRUE(Becomes(2));
  Write(folder / "new", "longer");
  fs::rename(folder / "new", file);
  EXPECT_TRUE(Becomes(3));
}

// keys -> ..data/keys, ..data -> 1: a Secret's update turns ..data to 2.
TEST_F(FileWatcherTest, SeesALinkOnTheWayTurnedElsewhere) {
  fs::create_directories(folder / "1");
  fs::create_directories(folder / "2");
  Write(folder / "1" / "keys", "same");
  Write(folder / "2" / "keys", "same");
  fs::create_symlink("1", folder / "..data");
  fs::create_symlink("..data/keys", folder / "keys");
  FileWatcher watcher(
      {folder / "keys"}, [this] { ++num_changes; }, milliseconds(2));
  fs::create_symlink("2", folder / "..next");
  fs::rename(folder / "..next", folder / "..data");
  EXPECT_TRUE(Becomes(1));
}

}  // namespace
}  // namespace weft
