#include "common/flags.h"

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

struct Fixture : ::testing::Test {
  Fixture() : flags("tool", "A tool.") {
    flags.Add("--port", port, "Port", 0, 65535);
    flags.AddChoice("--dtype", dtype, {"auto", "float32"}, "Type");
    flags.AddSwitch("--verbose", verbose, "Say more");
  }
  std::optional<int> Parse(std::vector<const char*> words) {
    words.insert(words.begin(), "tool");
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    auto code = flags.Parse(static_cast<int>(words.size()), words.data());
    errors = ::testing::internal::GetCapturedStderr();
    output = ::testing::internal::GetCapturedStdout();
    return code;
  }
  Flags flags;
  int port = 8000;
  std::string dtype = "auto";
  bool verbose = false;
  std::string errors, output;
};

using FlagsTest = Fixture;

TEST_F(FlagsTest, ValuesComeFromTheCommandLine) {
  EXPECT_EQ(Parse({"--port", "9", "--dtype=float32", "--verbose"}), std::nullopt);
  EXPECT_EQ(port, 9);
  EXPECT_EQ(dtype, "float32");
  EXPECT_TRUE(verbose);
}

TEST_F(FlagsTest, TheEnvironmentFillsInAndTheCommandLineWins) {
  setenv("WEFT_PORT", "77", 1);
  setenv("WEFT_DTYPE", "float32", 1);
  EXPECT_EQ(Parse({"--dtype", "auto"}), std::nullopt);
  unsetenv("WEFT_PORT");
  unsetenv("WEFT_DTYPE");
  EXPECT_EQ(port, 77);
  EXPECT_EQ(dtype, "auto");
}

TEST_F(FlagsTest, AnUnknownFlagIsRefusedWithTheNearestName) {
  EXPECT_EQ(Parse({"--prot", "9"}), 2);
  EXPECT_THAT(errors, HasSubstr("unknown flag --prot; did you mean --port?"));
}

TEST_F(FlagsTest, ABadValueIsRefusedWithTheRightOnes) {
  EXPECT_EQ(Parse({"--dtype", "int3"}), 2);
  EXPECT_THAT(errors, HasSubstr("auto"));
  EXPECT_THAT(errors, HasSubstr("float32"));
}

TEST_F(FlagsTest, ANumberOutOfRangeIsRefusedWithTheRange) {
  EXPECT_EQ(Parse({"--port", "70000"}), 2);
  EXPECT_THAT(errors, HasSubstr("65535"));
}

TEST_F(FlagsTest, HelpListsEveryFlagWithItsDefault) {
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(output, HasSubstr("--port"));
  EXPECT_THAT(output, HasSubstr("8000"));
  EXPECT_THAT(output, HasSubstr("WEFT_DTYPE"));
}

TEST(NearestName, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(NearestName("--zzz", {"--max-model-len", "--port"}), "");
}

}  // namespace
}  // namespace weft
