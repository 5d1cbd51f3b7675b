#include "cli/bench/server_metrics.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

std::optional<double> Value(const std::string& key, const std::vector<std::string>& texts) {
  const auto values = ReadServerMetrics(texts);
  for (size_t i = 0; i < values.size(); ++i) {
    if (ServerMetrics()[i].key == key) return values[i];
  }
  ADD_FAILURE() << key;
  return std::nullopt;
}

TEST(ServerMetrics, AreAddedUpOverServersAndSeries) {
  const std::string first =
      "# HELP weft_scheduler_requests_running Sequences.\n"
      "# TYPE weft_scheduler_requests_running gauge\n"
      "weft_scheduler_requests_running{model=\"a } b\"} 3\n"
      "weft_scheduler_requests_running_total 99\n"
      "weft_scheduler_kv_cache_usage_ratio 0.25\r\n";
  const std::string second =
      "weft_scheduler_requests_running 4 1700000000000\n"
      "weft_scheduler_kv_cache_usage_ratio 0.5";
  EXPECT_EQ(Value("requests_running", {first, second}), 7);
  EXPECT_EQ(Value("kv_cache_usage_percent", {first, second}), 50) << "the fullest";
  EXPECT_EQ(Value("preemptions", {first, second}), std::nullopt);
}

TEST(ServerMetrics, HaveOtherServersNames) {
  const std::string vllm =
      "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2.0\n"
      "vllm:kv_cache_usage_perc{engine=\"0\"} 1e-1\n"
      "vllm:num_preemptions_total{engine=\"0\"} 5\n";
  EXPECT_EQ(Value("requests_waiting", {vllm}), 2);
  EXPECT_DOUBLE_EQ(*Value("kv_cache_usage_percent", {vllm}), 10);
  EXPECT_EQ(Value("preemptions", {vllm}), 5);
  EXPECT_EQ(Value("gpu_memory_used_gib", {"DCGM_FI_DEV_FB_USED{gpu=\"0\"} 2048\n"}), 2);
}

TEST(ServerMetrics, WhatIsNoSampleIsPassedOver) {
  EXPECT_EQ(Value("requests_running", {"<html>\n\n{} 3\nweft_scheduler_requests_running\n",
                                       "weft_scheduler_requests_running{x=\"\n",
                                       "weft_scheduler_requests_running many\n"}),
            std::nullopt);
}

}  // namespace
}  // namespace weft::bench
