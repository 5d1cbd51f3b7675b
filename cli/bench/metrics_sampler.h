// Samples the servers' metrics beside a load, on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "cli/bench/http_get.h"

namespace weft::bench {

// One row for each time; a row's values are in the order of ServerMetrics().
struct MetricSamples {
  std::vector<double> times_s;  // after the start
  std::vector<std::vector<std::optional<double>>> rows;
  int num_failed = 0;  // GETs; their servers are missing from that row
  std::string error;   // the latest
};

// Of one of ServerMetrics(), over the samples that have it; nullopt: none has.
struct SampleSummary {
  double min = 0;
  double mean = 0;
  double max = 0;
  double increase = 0;  // from the first to the last
};
std::optional<SampleSummary> SummarizeSamples(const MetricSamples& samples, size_t metric);

class MetricsSampler {
 public:
  // Begins to sample at once. No addresses: there is nothing to do, and no thread.
  MetricsSampler(std::vector<std::string> urls, GetOptions options);
  ~MetricsSampler() { Stop(); }
  MetricsSampler(const MetricsSampler&) = delete;
  MetricsSampler& operator=(const MetricsSampler&) = delete;

  // Takes a last sample and ends.
  MetricSamples Stop();

 private:
  void Run();
  void Sample();

  const std::vector<std::string> urls_;
  const GetOptions options_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  MetricSamples samples_;  // the thread's, until it has ended

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;

  std::thread thread_;  // last: it uses the others
};

}  // namespace weft::bench
