#include "cli/bench/workload.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Arrivals, AreAPoissonProcess) {
  const int count = 100'000;
  const std::vector<double> arrivals = Arrivals(count, 50, 1);
  EXPECT_TRUE(std::is_sorted(arrivals.begin(), arrivals.end()));
  EXPECT_EQ(arrivals.front(), 0);
  const double mean = arrivals.back() / (count - 1);
  double squares = 0;
  int num_long = 0;
  for (int i = 1; i < count; ++i) {
    const double gap = arrivals[i] - arrivals[i - 1];
    squares += (gap - mean) * (gap - mean);
    num_long += gap > 1.0 / 50;
  }
  // Five standard errors. An exponential's deviation is its mean, and a gap is longer
  // than the mean with probability 1/e.
  EXPECT_NEAR(mean, 0.02, 0.02 * 5 / 316);
  EXPECT_NEAR(std::sqrt(squares / count), 0.02, 0.02 * 5 * 1.5 / 316);
  EXPECT_NEAR(num_long / static_cast<double>(count), 0.3679, 5 * 0.4823 / 316);
}

TEST(Arrivals, FollowTheSeed) {
  EXPECT_EQ(Arrivals(10, 5, 1), Arrivals(10, 5, 1));
  EXPECT_NE(Arrivals(10, 5, 1), Arrivals(10, 5, 2));
}

TEST(Arrivals, WithoutARateAllComeAtOnce) {
  EXPECT_EQ(Arrivals(2, 0, 1), (std::vector<double>{0, 0}));
  EXPECT_EQ(Arrivals(2, std::numeric_limits<double>::infinity(), 1), (std::vector<double>{0, 0}));
}

struct Parts {
  std::string head;
  boost::json::object body;
};

Parts Request(const Options& options, int64_t index) {
  const Target target = ParseUrl("http://server:8000/base").value();
  std::string request = "what was here before";
  Workload(options, target, "my \"model\"").WriteRequest(index, request);
  const size_t end = request.find("\r\n\r\n");
  const std::string body = request.substr(end + 4);
  EXPECT_THAT(request.substr(0, end + 2),
              HasSubstr("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"));
  return {request.substr(0, end), boost::json::parse(body).as_object()};
}

TEST(Workload, ACompletionHasExactlyAsManyTokenIds) {
  Options options{.api_key = "secret", .random_input_len = 700, .random_output_len = 9};
  const Parts request = Request(options, 3);
  EXPECT_THAT(request.head,
              StartsWith("POST /base/v1/completions HTTP/1.1\r\nHost: server:8000\r\n"));
  EXPECT_THAT(request.head, HasSubstr("Authorization: Bearer secret"));
  EXPECT_EQ(request.body.at("model"), "my \"model\"");
  EXPECT_EQ(request.body.at("max_tokens"), 9);
  EXPECT_EQ(request.body.at("ignore_eos"), true);
  EXPECT_EQ(request.body.at("stream_options").at("include_usage"), true);
  const boost::json::array& prompt = request.body.at("prompt").as_array();
  EXPECT_EQ(prompt.size(), 700u);
  for (const boost::json::value& id : prompt) {
    EXPECT_GE(id.as_int64(), 1000);
    EXPECT_LT(id.as_int64(), 30'000);
  }
}

TEST(Workload, FurtherFieldsStandBesideTheOthers) {
  const Parts request = Request({.extra_body = R"({"stop": ["\n"], "n": 2})"}, 0);
  EXPECT_EQ(request.body.at("stop").at(0), "\n");
  EXPECT_EQ(request.body.at("n"), 2);
  EXPECT_EQ(request.body.at("stream"), true);
}

TEST(Workload, PromptsFollowSeedAndIndexAndShareNoBeginning) {
  const auto prompt = [](uint64_t seed, int64_t index) {
    return Request({.random_input_len = 16, .seed = seed}, index).body.at("prompt").as_array();
  };
  EXPECT_EQ(prompt(1, 5), prompt(1, 5));
  EXPECT_NE(prompt(1, 5), prompt(2, 5));
  int num_equal = 0;
  for (int64_t index = -50; index < 50; ++index) {
    const auto one = prompt(1, index), next = prompt(1, index + 1);
    num_equal += one[0] == next[0];
    EXPECT_NE(one[1], next[0]) << "the neighbour's numbers, one place apart";
  }
  EXPECT_LT(num_equal, 3);
}

TEST(Workload, ASmallVocabularyIsKept) {
  const Parts request = Request({.random_input_len = 100, .vocab_size = 10}, 0);
  for (const boost::json::value& id : request.body.at("prompt").as_array()) {
    EXPECT_LT(id.as_int64(), 10);
  }
}

TEST(Workload, AChatIsOneMessageOfWords) {
  Options options{.endpoint = "chat", .random_input_len = 20, .ignore_eos = false};
  const Parts request = Request(options, 0);
  EXPECT_THAT(request.head, StartsWith("POST /base/v1/chat/completions "));
  EXPECT_FALSE(request.body.contains("ignore_eos"));
  EXPECT_EQ(request.body.at("max_completion_tokens"), 256);
  const boost::json::string& text = request.body.at("messages").at(0).at("content").as_string();
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), 19);
}

}  // namespace
}  // namespace weft::bench
