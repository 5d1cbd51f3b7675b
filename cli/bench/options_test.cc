#include "cli/bench/options.h"

#include <cmath>
#include <optional>
#include <vector>

#include "common/flags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;

std::optional<int> Parse(std::vector<const char*> words, Options& options) {
  words.insert(words.begin(), "weft bench");
  Flags flags("weft bench", "Loads.");
  AddBenchFlags(flags, options);
  ::testing::internal::CaptureStderr();
  const std::optional<int> exit_code = flags.Parse(static_cast<int>(words.size()), words.data());
  ::testing::internal::GetCapturedStderr();
  return exit_code;
}

TEST(Options, TakeVllmsFlags) {
  Options options;
  EXPECT_EQ(Parse({"--num-prompts", "10", "--max-concurrency=4", "--request-rate", "inf",
                   "--random-input-len", "5", "--ignore-eos=false", "--endpoint", "chat"},
                  options),
            std::nullopt);
  EXPECT_EQ(options.num_prompts, 10);
  EXPECT_EQ(options.max_concurrency, 4);
  EXPECT_TRUE(std::isinf(options.request_rate));
  EXPECT_FALSE(options.ignore_eos);
}

TEST(Options, RefuseWhatIsOutOfRange) {
  Options options;
  EXPECT_EQ(Parse({"--num-prompts", "0"}, options), 2);
  EXPECT_EQ(Parse({"--request-rate", "-1"}, options), 2);
  EXPECT_EQ(Parse({"--endpoint", "embeddings"}, options), 2);
  EXPECT_EQ(Parse({"--max-concurency", "3"}, options), 2);
}

TEST(ParseUrl, SplitsHostPortAndPath) {
  const Target target = ParseUrl("http://box:81/proxy/v1/").value();
  EXPECT_EQ(target.host, "box");
  EXPECT_EQ(target.port, "81");
  EXPECT_EQ(target.authority, "box:81");
  EXPECT_EQ(target.base, "/proxy");
  EXPECT_EQ(ParseUrl("HTTP://box").value().port, "80");
  EXPECT_EQ(ParseUrl("http://box/v1").value().base, "");
  EXPECT_EQ(ParseUrl("http://[fd00::1]:8000").value().host, "fd00::1");
  EXPECT_EQ(ParseUrl("http://[fd00::1]").value().port, "80");
}

TEST(ParseUrl, SaysWhatIsWrong) {
  const auto error = [](const char* url) { return std::string(ParseUrl(url).status().message()); };
  EXPECT_THAT(error("https://box"), HasSubstr("https is not supported"));
  EXPECT_THAT(error("127.0.0.1:8000"), HasSubstr("no scheme"));
  EXPECT_THAT(error("ftp://box"), HasSubstr("not http"));
  EXPECT_THAT(error("http://"), HasSubstr("no host"));
  EXPECT_THAT(error("http://:8000"), HasSubstr("no host"));
  EXPECT_THAT(error("http://box:http"), HasSubstr("port"));
  EXPECT_THAT(error("http://box:70000"), HasSubstr("port"));
  EXPECT_THAT(error("http://fd00::1"), HasSubstr("brackets"));
  EXPECT_THAT(error("http://me:secret@box"), HasSubstr("only"));
  EXPECT_THAT(error("http://box/\r\nX: y"), HasSubstr("only"));
}

TEST(ParseGoodput, ReadsBounds) {
  const Goodput goodput = ParseGoodput("ttft:200,itl:2.5 e2el:9000").value();
  EXPECT_EQ(goodput.ttft, 200);
  EXPECT_EQ(goodput.itl, 2.5);
  EXPECT_EQ(goodput.e2el, 9000);
  EXPECT_FALSE(goodput.tpot);
  EXPECT_EQ(ParseGoodput("ttft=200ms,itl=2.5ms").value().itl, 2.5);
  EXPECT_TRUE(ParseGoodput("").ok());
  for (const char* wrong :
       {"ttft", "ttft:", "ttft:fast", "ttft:-1", "latency:3", "ttft:nan", "ttft=2s"}) {
    EXPECT_THAT(ParseGoodput(wrong).status().message(), HasSubstr("none of ttft:MS")) << wrong;
  }
}

TEST(Validate, AKeyMustFitAHeader) {
  EXPECT_TRUE(Validate({.api_key = "sk-1"}).ok());
  EXPECT_FALSE(Validate({.api_key = "a\r\nb"}).ok());
}

TEST(Validate, FurtherFieldsAreAnObject) {
  EXPECT_TRUE(Validate({.extra_body = R"({"n": 2})"}).ok());
  for (const char* wrong : {"[1]", "{", "n=2"}) {
    EXPECT_THAT(Validate({.extra_body = wrong}).message(), HasSubstr("no JSON object")) << wrong;
  }
}

}  // namespace
}  // namespace weft::bench
