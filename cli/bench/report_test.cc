#include "cli/bench/report.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A run of one request that took a second.
RunReport Report(const RunPoint& run, double late_ms = 0) {
  RunReport report{.run = run, .has_schedule = run.request_rate > 0, .num_prompts = 1};
  Measurements measured;
  measured.requests = {{.ttft_ms = 250 + late_ms,
                        .e2e_ms = 1000 + late_ms,
                        .late_ms = late_ms,
                        .num_prompt_tokens = 5,
                        .num_output_tokens = 11,
                        .num_text_events = 9,
                        .num_asked_tokens = 11}};
  report.outcome.duration_s = 2;
  report.results = Summarize(measured, 2, {});
  report.account = Account(measured.requests);
  return report;
}

TEST(Report, SaysWhereLatenciesCountFrom) {
  EXPECT_THAT(Table({}, Report({})), Not(HasSubstr("arrival")));
  const std::string on_time = Table({}, Report({.request_rate = 8}));
  EXPECT_THAT(on_time, HasSubstr("count from each request's arrival"));
  EXPECT_THAT(on_time, Not(HasSubstr("from sending"))) << "they would be the same";
  EXPECT_THAT(Table({}, Report({.request_rate = 8}, 40)), HasSubstr("TTFT, from sending"));
}

TEST(Report, SaysWhatIsOutOfTheOrdinary) {
  RunReport report = Report({});
  EXPECT_THAT(Table({}, report), HasSubstr("1 answers had fewer events with text than tokens"));
  EXPECT_THAT(Table({}, report), Not(HasSubstr("was busy all the time")));
  report.outcome.busiest_thread_cpu_s = 1.9;
  EXPECT_THAT(Table({}, report), HasSubstr("was busy all the time"));
}

TEST(Report, ASweepHasALineForEachRun) {
  const std::vector<RunReport> reports = {Report({.request_rate = 8, .max_concurrency = 2}),
                                          Report({.max_concurrency = 64}), Report({})};
  const std::string table = SweepTable({}, reports);
  for (const char* name : {"\nrate 8, concurrency 2 ", "\nconcurrency 64 ", "\nall at once "}) {
    EXPECT_THAT(table, HasSubstr(name));
  }
  const boost::json::value runs = boost::json::parse(Json({}, reports)).at("runs");
  EXPECT_EQ(runs.as_array().size(), 3u);
  EXPECT_EQ(runs.at(0).at("request_rate"), 8.0);
  EXPECT_EQ(runs.at(0).at("latencies_from"), "arrival");
  EXPECT_EQ(runs.at(1).at("request_rate"), "inf");
  EXPECT_EQ(runs.at(1).at("latencies_from"), "sending");
  EXPECT_FALSE(runs.at(1).as_object().contains("p50_late_ms"));
}

TEST(Report, OneRunIsItsOwnObject) {
  RunReport report = Report({});
  report.outcome.measured.AddError("timeout", "none", 7);
  report.metrics = {.times_s = {0, 1}, .rows = {{1, {}, 2, 3, {}}, {5, {}, 2, 7, {}}}};
  const boost::json::value json = boost::json::parse(
      Json({.random_output_len = "uniform:1-9", .metrics_url = "http://x"}, {report}));
  EXPECT_EQ(json.at("random_input_len"), 512);
  EXPECT_EQ(json.at("random_output_len"), "uniform:1-9");
  EXPECT_EQ(json.at("token_account").at("answers_with_fewer_events_than_tokens"), 1);
  EXPECT_EQ(json.at("errors").at(0).at("kind"), "timeout");
  EXPECT_EQ(json.at("server_metrics").at("requests_running").at("mean"), 3.0);
  EXPECT_EQ(json.at("server_metrics").at("preemptions").at("increase"), 4.0);
  EXPECT_FALSE(json.at("server_metrics").as_object().contains("requests_waiting"));
}

}  // namespace
}  // namespace weft::bench
