#include "cli/pull/partial_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace weft::pull {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kPiece = PartialFile::kPieceBytes;
constexpr int64_t kSize = 2 * kPiece + 10;

struct PartialFileTest : ::testing::Test {
  PartialFileTest() { fs::create_directories(folder); }
  ~PartialFileTest() override { fs::remove_all(folder); }

  PartialFile Open(int64_t size = kSize) { return PartialFile::Open(path, size).value(); }
  static void Write(PartialFile& file, int64_t offset, const std::string& bytes) {
    ASSERT_TRUE(file.Write(offset, bytes).ok());
  }

  const std::string folder = ::testing::TempDir() + "partial-file";
  const std::string path = folder + "/a.incomplete";
};

TEST_F(PartialFileTest, EachPieceGoesOnWhereItWas) {
  // |xxx.......|..........|x|
  {
    PartialFile file = Open();
    ASSERT_EQ(file.num_pieces(), 3);
    Write(file, 0, "xxx");
    Write(file, 2 * kPiece, "x");
  }
  PartialFile file = Open();
  EXPECT_EQ(file.num_present(), 4);
  EXPECT_EQ(file.Missing(0).begin, 3);
  EXPECT_EQ(file.Missing(0).end, kPiece);
  EXPECT_EQ(file.Missing(1).begin, kPiece);
  EXPECT_EQ(file.Missing(2).begin, 2 * kPiece + 1);
  EXPECT_EQ(file.Missing(2).size(), 9);
}

TEST_F(PartialFileTest, BytesMayCrossPiecesAndComeAgain) {
  PartialFile file = Open();
  Write(file, 0, std::string(kPiece + 5, 'a'));
  EXPECT_EQ(file.num_present(), kPiece + 5);
  EXPECT_EQ(file.Missing(0).size(), 0);
  Write(file, 0, "bb");
  EXPECT_EQ(file.num_present(), kPiece + 5);
}

TEST_F(PartialFileTest, AFinishedOneHoldsItsBytesAndNothingElse) {
  PartialFile file = Open(7);
  Write(file, 0, "content");
  ASSERT_TRUE(file.IsComplete());
  ASSERT_TRUE(file.Finish(folder + "/a").ok());
  std::ifstream in(folder + "/a");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "content");
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(PartialFileTest, AnEmptyFileIsCompleteAtOnce) {
  PartialFile file = Open(0);
  EXPECT_TRUE(file.IsComplete());
  ASSERT_TRUE(file.Finish(folder + "/a").ok());
  EXPECT_EQ(fs::file_size(folder + "/a"), 0u);
}

TEST_F(PartialFileTest, OneThatEndedWithinFinishIsComplete) {
  std::ofstream(path) << "content";
  EXPECT_TRUE(Open(7).IsComplete());
}

TEST_F(PartialFileTest, AnythingElseIsBegunAnew) {
  for (const std::string& other : {std::string("other bytes"), std::string(7 + 16 + 8, 'x')}) {
    std::ofstream(path) << other;
    PartialFile file = Open(7);
    EXPECT_EQ(file.num_present(), 0);
    Write(file, 0, "con");
  }
  EXPECT_EQ(Open(8).num_present(), 0) << "of another size";
}

TEST_F(PartialFileTest, CountsThatCannotBeAreNotBelieved) {
  { Open(7); }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const int64_t count = 8;
  file.seekp(7 + 16).write(reinterpret_cast<const char*>(&count), sizeof(count)).flush();
  EXPECT_EQ(Open(7).num_present(), 0);
}

TEST_F(PartialFileTest, ClearedItHoldsNothing) {
  PartialFile file = Open(7);
  Write(file, 0, "con");
  ASSERT_TRUE(file.Clear().ok());
  EXPECT_EQ(file.num_present(), 0);
  EXPECT_EQ(Open(7).num_present(), 0);
}

}  // namespace
}  // namespace weft::pull
