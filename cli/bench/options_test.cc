#include "cli/bench/options.h"

#include <optional>
#include <string>
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

std::string TogetherError(std::vector<const char*> words) {
  words.insert(words.begin(), "weft bench");
  return std::string(CheckTogether(static_cast<int>(words.size()), words.data()).message());
}

TEST(Options, TakeVllmsFlags) {
  Options options;
  EXPECT_EQ(Parse({"--num-prompts", "10", "--max-concurrency=4", "--request-rate", "inf",
                   "--random-input-len", "5", "--ignore-eos=false", "--endpoint", "chat",
                   "--burstiness", "0.5", "--dataset-path", "x"},
                  options),
            std::nullopt);
  EXPECT_EQ(options.num_prompts, 10);
  EXPECT_EQ(options.max_concurrency, "4");
  EXPECT_EQ(options.request_rate, "inf");
  EXPECT_EQ(options.burstiness, 0.5);
  EXPECT_FALSE(options.ignore_eos);
}

TEST(Options, RefuseWhatIsOutOfRange) {
  Options options;
  EXPECT_EQ(Parse({"--num-prompts", "-1"}, options), 2);
  EXPECT_EQ(Parse({"--burstiness", "0"}, options), 2);
  EXPECT_EQ(Parse({"--endpoint", "embeddings"}, options), 2);
  EXPECT_EQ(Parse({"--max-concurency", "3"}, options), 2);
}

TEST(CheckTogether, NamesBothFlags) {
  EXPECT_EQ(TogetherError({"--trace", "file", "--request-rate=3"}),
            "--request-rate has no meaning beside --trace, whose requests are what they are");
  EXPECT_THAT(TogetherError({"--dataset-path=file", "--trace=file"}), HasSubstr("beside --trace"));
  EXPECT_THAT(TogetherError({"--dataset-path=file", "--prefix-len", "3"}),
              HasSubstr("--prefix-len has no meaning beside --dataset-path"));
  EXPECT_EQ(TogetherError({"--dataset-path=file", "--request-rate=3"}), "");
}

TEST(Validate, OnlyAChatHasTurnsAndTheyAreDrawn) {
  EXPECT_TRUE(Validate({.endpoint = "chat", .conversation_len = 99}).ok());
  EXPECT_THAT(Validate({.conversation_len = 99}).message(), HasSubstr("--endpoint chat"));
  EXPECT_THAT(Validate({.endpoint = "chat", .dataset_path = "x", .conversation_len = 99}).message(),
              HasSubstr("--dataset-path"));
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
