#include "sim/pool/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weft::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Trace, ReadsEveryFieldAndSortsByTime) {
  const std::vector<Arrival> arrivals =
      ParseTrace("t.jsonl",
                 R"({"at": 1700000012.5, "input": 100, "output": 7, "model": "ignored"}

{"at": 1700000010, "input": 300, "output": 9, "prefix": "a", "prefix_tokens": 200, "tenant": "web", "priority": -2}
{"at": 1700000011, "input": 50, "output": 1, "prefix": "b"}
{"at": 1700000012.5, "input": 400, "output": 1, "prefix": "a"}
)",
                 /*default_prefix_tokens=*/160)
          .value();
  ASSERT_EQ(arrivals.size(), 4u);
  EXPECT_EQ(arrivals[0].at, 0);
  EXPECT_EQ(arrivals[0].num_input_tokens, 300);
  EXPECT_EQ(arrivals[0].num_output_tokens, 9);
  EXPECT_EQ(arrivals[0].num_prefix_tokens, 200);
  EXPECT_EQ(arrivals[0].tenant, "web");
  EXPECT_EQ(arrivals[0].priority, -2);
  EXPECT_EQ(arrivals[1].at, 1'000'000);
  EXPECT_EQ(arrivals[1].num_prefix_tokens, 50);  // all of the prompt
  EXPECT_NE(arrivals[1].prefix, arrivals[0].prefix);
  // Equal times keep the order of the lines.
  EXPECT_EQ(arrivals[2].at, 2'500'000);
  EXPECT_EQ(arrivals[2].num_input_tokens, 100);
  EXPECT_EQ(arrivals[2].num_prefix_tokens, 0);
  EXPECT_EQ(arrivals[2].tenant, "");
  EXPECT_EQ(arrivals[3].num_prefix_tokens, 160);
  EXPECT_EQ(arrivals[3].prefix, arrivals[0].prefix);
}

TEST(Trace, AnErrorNamesTheLineAndTheField) {
  const std::string good = "{\"at\": 0, \"input\": 10, \"output\": 10}\n\n";
  const auto error = [&](const char* line) {
    return std::string(ParseTrace("t.jsonl", good + line, 0).status().message());
  };
  EXPECT_THAT(error("at 5"), StartsWith("t.jsonl line 3: not JSON"));
  EXPECT_THAT(error("[1, 2, 3]"), StartsWith("t.jsonl line 3: not a JSON object"));
  EXPECT_EQ(error(R"({"input": 1, "output": 1})"), "t.jsonl line 3: at is missing");
  EXPECT_EQ(error(R"({"at": 1, "output": 1})"), "t.jsonl line 3: input is missing");
  EXPECT_EQ(error(R"({"at": 1, "input": 1})"), "t.jsonl line 3: output is missing");
  EXPECT_THAT(error(R"({"at": "noon", "input": 1, "output": 1})"), HasSubstr("3: at must be a"));
  EXPECT_THAT(error(R"({"at": 17e11, "input": 1, "output": 1})"),
              HasSubstr("3: at must be in sec"));
  EXPECT_THAT(error(R"({"at": 1, "input": 0, "output": 1})"),
              HasSubstr("input must be an integer"));
  EXPECT_THAT(error(R"({"at": 1, "input": 1, "output": 1.5})"), HasSubstr("output must be an int"));
  EXPECT_THAT(error(R"({"at": 1, "input": 1, "output": 1, "tenant": 4})"),
              HasSubstr("tenant must"));
  EXPECT_THAT(error(R"({"at": 1, "input": 1, "output": 1, "priority": 1e12})"),
              HasSubstr("priority must"));
  EXPECT_THAT(error(R"({"at": 1, "input": 9, "output": 1, "prefix": "a"})"),
              HasSubstr("prefix has no length"));
  EXPECT_THAT(error(R"({"at": 1, "input": 9, "output": 1, "prefix": "a", "prefix_tokens": 10})"),
              HasSubstr("prefix_tokens must be an integer between 1 and 9"));
}

TEST(Trace, OneWithoutARequestIsAnError) {
  EXPECT_THAT(ParseTrace("t.jsonl", "\n \n", 0).status().message(), HasSubstr("no request"));
}

}  // namespace
}  // namespace weft::sim
