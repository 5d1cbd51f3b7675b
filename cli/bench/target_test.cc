#include "cli/bench/target.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;

TEST(ParseUrl, SplitsHostPortAndPath) {
  const Target target = ParseUrl("http://box:81/proxy/v1/").value();
  EXPECT_EQ(target.host, "box");
  EXPECT_EQ(target.port, "81");
  EXPECT_EQ(target.authority, "box:81");
  EXPECT_EQ(target.base, "/proxy");
  EXPECT_EQ(target.Url("/v1/models"), "http://box:81/proxy/v1/models");
  EXPECT_EQ(ParseUrl("HTTP://box").value().port, "80");
  EXPECT_FALSE(ParseUrl("HTTP://box").value().is_tls);
  EXPECT_EQ(ParseUrl("https://box").value().port, "443");
  EXPECT_EQ(ParseUrl("https://box/v1").value().Url("/v1/models"), "https://box/v1/models");
  EXPECT_EQ(ParseUrl("http://box/v1").value().base, "");
  EXPECT_EQ(ParseUrl("http://[fd00::1]:8000").value().host, "fd00::1");
  EXPECT_EQ(ParseUrl("http://[fd00::1]").value().port, "80");
}

TEST(ParseUrl, SaysWhatIsWrong) {
  const auto error = [](const char* url) { return std::string(ParseUrl(url).status().message()); };
  EXPECT_THAT(error("127.0.0.1:8000"), HasSubstr("no scheme"));
  EXPECT_THAT(error("ftp://box"), HasSubstr("neither http nor https"));
  EXPECT_THAT(error("http://"), HasSubstr("no host"));
  EXPECT_THAT(error("http://:8000"), HasSubstr("no host"));
  EXPECT_THAT(error("http://box:http"), HasSubstr("port"));
  EXPECT_THAT(error("http://box:70000"), HasSubstr("port"));
  EXPECT_THAT(error("http://fd00::1"), HasSubstr("brackets"));
  EXPECT_THAT(error("http://me:secret@box"), HasSubstr("only"));
  EXPECT_THAT(error("http://box/\r\nX: y"), HasSubstr("only"));
}

}  // namespace
}  // namespace weft::bench
