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

TEST(Log, ALineAboutATracedRequestNamesTheTrace) {
  const SpanContext context =
      ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  {
    const LogTrace outer(context);
    {
      const LogTrace untraced{SpanContext()};
      EXPECT_THAT(Logged({}, "m"), ::testing::EndsWith("I gateway: m\n"));
    }
    EXPECT_THAT(Logged({}, "m"),
                ::testing::EndsWith("I gateway: m trace_id=0af7651916cd43dd8448eb211c80319c\n"));
    const auto value = boost::json::parse(Logged({.format = "json"}, "m"));
    EXPECT_EQ(value.at("trace_id").as_string(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(value.at("message").as_string(), "m");
  }
  const auto value = boost::json::parse(Logged({.format = "json"}, "m"));
  EXPECT_FALSE(value.as_object().contains("trace_id"));
}

}  // namespace
}  // namespace weft
