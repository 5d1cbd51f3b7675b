#include "cli/bench/scenario.h"

#include <unistd.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Error(const Options& options) {
  return std::string(MakeScenario(options).status().message());
}

// A file of the test's own, by name.
std::string FileWith(const std::string& text) {
  static int number = 0;
  const std::string path = ::testing::TempDir() + "/scenario_test_" + std::to_string(getpid()) +
                           "_" + std::to_string(number++);
  std::ofstream(path) << text;
  return path;
}

TEST(Scenario, EachRateOrConcurrencyIsARun) {
  const Scenario rates = MakeScenario({.request_rate = "2, 4.5,inf"}).value();
  ASSERT_EQ(rates.runs.size(), 3u);
  EXPECT_EQ(rates.runs[1].request_rate, 4.5);
  EXPECT_EQ(rates.runs[2].request_rate, 0);
  EXPECT_TRUE(rates.HasSchedule(rates.runs[1]));
  EXPECT_FALSE(rates.HasSchedule(rates.runs[2]));
  const Scenario limits = MakeScenario({.max_concurrency = "1,64", .request_rate = "8"}).value();
  ASSERT_EQ(limits.runs.size(), 2u);
  EXPECT_EQ(limits.runs[1].max_concurrency, 64);
  EXPECT_EQ(limits.runs[1].request_rate, 8);
}

TEST(Scenario, ABadListIsNamed) {
  EXPECT_THAT(Error({.request_rate = "4,fast"}), StartsWith("--request-rate 4,fast: fast is no"));
  EXPECT_THAT(Error({.request_rate = "-1"}), HasSubstr("at least"));
  EXPECT_THAT(Error({.request_rate = "nan"}), HasSubstr("at least"));
  EXPECT_THAT(Error({.request_rate = ""}), HasSubstr("--request-rate is empty"));
  EXPECT_THAT(Error({.max_concurrency = "1,,x"}), HasSubstr("x is no number"));
  EXPECT_THAT(Error({.max_concurrency = "-1"}), HasSubstr("--max-concurrency"));
  EXPECT_THAT(Error({.max_concurrency = "1,2", .request_rate = "1,2"}), HasSubstr("not both"));
  EXPECT_THAT(Error({.metrics_url = "localhost:9100"}), StartsWith("--metrics-url localhost:9100"));
  EXPECT_THAT(Error({.slo = "speed=3"}), StartsWith("--slo"));
  EXPECT_THAT(Error({.random_input_len = "zipf:3"}), StartsWith("--random-input-len zipf:3: "));
}

TEST(Scenario, RunsOfASweepDrawTheSameLengths) {
  const Scenario scenario = MakeScenario({.num_prompts = 50,
                                          .request_rate = "1,10",
                                          .random_input_len = "uniform:10-500",
                                          .prefix_len = 32,
                                          .num_prefixes = 3})
                                .value();
  const auto slow = scenario.Requests(scenario.runs[0]);
  const auto fast = scenario.Requests(scenario.runs[1]);
  ASSERT_EQ(slow.size(), 50u);
  for (size_t i = 0; i < slow.size(); ++i) {
    EXPECT_EQ(slow[i].num_input_tokens, fast[i].num_input_tokens);
    EXPECT_NEAR(static_cast<double>(slow[i].at), 10.0 * static_cast<double>(fast[i].at), 10);
  }
}

TEST(Scenario, ATraceSaysAll) {
  const std::string path = FileWith(
      "{\"at\": 3, \"input\": 9, \"output\": 5}\n"
      "{\"at\": 4.5, \"input\": 100, \"output\": 7, \"prefix\": \"a\", \"prefix_tokens\": 50}\n");
  const Scenario scenario = MakeScenario({.trace = path}).value();
  ASSERT_EQ(scenario.runs.size(), 1u);
  EXPECT_TRUE(scenario.HasSchedule(scenario.runs[0]));
  const auto requests = scenario.Requests(scenario.runs[0]);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].at, 1'500'000);
  EXPECT_EQ(requests[1].num_prefix_tokens, 50);
  EXPECT_THAT(Error({.trace = FileWith("{\"at\": 3}")}), HasSubstr(" line 1: input"));
  EXPECT_THAT(Error({.trace = "/no/such/file"}), HasSubstr("--trace /no/such/file"));
}

TEST(Scenario, ADatasetSaysHowManyAndWhat) {
  const std::string path = FileWith("{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"}\n");
  EXPECT_EQ(MakeScenario({.dataset_path = path}).value().traffic.num_requests, 3);
  EXPECT_EQ(MakeScenario({.num_prompts = 7, .dataset_path = path}).value().traffic.num_requests, 7);
  const std::string talk = FileWith(
      "{\"prompt\":\"a\"}\n{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
      "{\"role\":\"user\",\"content\":\"u\"}]}\n");
  EXPECT_THAT(Error({.dataset_path = talk}), HasSubstr("line 2: several messages"));
  EXPECT_TRUE(MakeScenario({.endpoint = "chat", .dataset_path = talk}).ok());
}

}  // namespace
}  // namespace weft::bench
