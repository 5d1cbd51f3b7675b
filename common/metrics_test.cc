#include "common/metrics.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, TextHoldsWhatWasCounted) {
  Metrics metrics("gateway");
  metrics.Counter("weft_things_total", "Things", {{"kind", "a"}}).Increment(3);
  metrics.Counter("weft_things_total", "Things", {{"kind", "b"}}).Increment();
  metrics.Histogram("weft_step_seconds", "Steps", kStepBuckets).Observe(0.003);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("weft_things_total{kind=\"a\"} 3"));
  EXPECT_THAT(text, HasSubstr("weft_things_total{kind=\"b\"} 1"));
  EXPECT_THAT(text, HasSubstr("weft_step_seconds_bucket{le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("weft_build_info{tier=\"gateway\""));
}

TEST(Metrics, AProcessOfOneModelSaysSoInEverySeries) {
  Metrics metrics("worker", "demo");
  metrics.Counter("weft_things_total", "Things", {{"kind", "a"}}).Increment();
  metrics.Histogram("weft_step_seconds", "Steps", kStepBuckets).Observe(0.003);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("weft_things_total{model=\"demo\",kind=\"a\"} 1"));
  EXPECT_THAT(text, HasSubstr("weft_step_seconds_bucket{model=\"demo\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("weft_build_info{model=\"demo\",tier=\"worker\""));
}

TEST(Metrics, AGaugeMayBeReadWhenSomebodyAsks) {
  Metrics metrics("worker");
  prometheus::Gauge& gauge = metrics.Gauge("weft_times_asked", "Times");
  metrics.BeforeText([&gauge] { gauge.Increment(); });
  EXPECT_THAT(metrics.Text(), HasSubstr("weft_times_asked 1"));
  EXPECT_THAT(metrics.Text(), HasSubstr("weft_times_asked 2"));
}

double Value(const std::string& text, const std::string& name) {
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

TEST(Metrics, ProcessFiguresAreReal) {
  const std::string text = Metrics("gateway").Text();
  EXPECT_GT(Value(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GE(Value(text, "process_threads"), 1);
  EXPECT_GE(Value(text, "process_open_fds"), 3);
  EXPECT_GT(Value(text, "process_start_time_seconds"), 1.6e9);
  EXPECT_GE(Value(text, "process_cpu_seconds_total"), 0);
}

}  // namespace
}  // namespace weft
