#include "cli/eval/transcript_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace weft::eval {
namespace {

using testing::HasSubstr;

class TranscriptLogTest : public testing::Test {
 protected:
  TranscriptLogTest() { std::filesystem::remove_all(folder_); }
  ~TranscriptLogTest() override { std::filesystem::remove_all(folder_); }

  const std::string folder_ = testing::TempDir() + "weft_transcript_log_" +
                              testing::UnitTest::GetInstance()->current_test_info()->name();
  const boost::json::object settings_ = {{"model", "m"}, {"seeds", 4}};
};

TEST_F(TranscriptLogTest, GoesOnWhereItWas) {
  for (int i = 0; i < 3; ++i) {
    auto log = TranscriptLog::Open(folder_, settings_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_EQ(log->transcripts().size(), static_cast<size_t>(i));
    ASSERT_TRUE(log->Append({.id = "x", .seed = i}).ok());
  }
}

TEST_F(TranscriptLogTest, ALineThatABreakHasCutIsDropped) {
  ASSERT_TRUE(TranscriptLog::Open(folder_, settings_)->Append({.id = "whole"}).ok());
  std::ofstream(folder_ + "/transcripts.jsonl", std::ios::app) << R"({"id": "cu)";
  {
    auto log = TranscriptLog::Open(folder_, settings_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_EQ(log->transcripts().size(), 1u);
    ASSERT_TRUE(log->Append({.id = "next"}).ok());
  }
  const auto log = TranscriptLog::Open(folder_, settings_);
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_EQ(log->transcripts().size(), 2u);
  EXPECT_EQ(log->transcripts()[1].id, "next");
}

TEST_F(TranscriptLogTest, OtherSettingsAreRefusedByName) {
  ASSERT_TRUE(TranscriptLog::Open(folder_, settings_).ok());
  const auto log = TranscriptLog::Open(folder_, {{"model", "m"}, {"seeds", 5}});
  EXPECT_TRUE(absl::IsFailedPrecondition(log.status()));
  EXPECT_THAT(std::string(log.status().message()), HasSubstr("its seeds is 4 and not 5"));
}

TEST_F(TranscriptLogTest, TwoAtOnceAreRefused) {
  const auto first = TranscriptLog::Open(folder_, settings_);
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(std::string(TranscriptLog::Open(folder_, settings_).status().message()),
              HasSubstr("another weft eval writes there"));
}

}  // namespace
}  // namespace weft::eval
