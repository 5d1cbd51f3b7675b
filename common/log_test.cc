#include "common/log.h"

#include <spdlog/spdlog.h>

#include <boost/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string Logged(const LogOptions& options, const std::string& message) {
  ::testing::internal::CaptureStderr();
  InitLog("gateway", options);
  spdlog::info(message);
  spdlog::debug("hidden");
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, ATextLineNamesTheTier) {
  EXPECT_THAT(Logged({}, "ready"), ::testing::MatchesRegex(".* I gateway: ready\n"));
}

TEST(Log, AJsonLineIsJsonWhateverTheMessageHolds) {
  const std::string message = "a \"quote\", a \\ and\na line";
  const std::string line = Logged({.format = "json"}, message);
  const auto value = boost::json::parse(line);
  EXPECT_EQ(value.at("message").as_string(), message);
  EXPECT_EQ(value.at("tier").as_string(), "gateway");
  EXPECT_EQ(value.at("level").as_string(), "info");
}

}  // namespace
}  // namespace weft
