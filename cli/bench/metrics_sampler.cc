#include "cli/bench/metrics_sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/bench/server_metrics.h"

namespace weft::bench {
namespace {

// The scheduler's gauges follow its state four times a second.
constexpr std::chrono::milliseconds kInterval(500);

}  // namespace

std::optional<SampleSummary> SummarizeSamples(const MetricSamples& samples, size_t metric) {
  std::vector<double> values;
  for (const auto& row : samples.rows) {
    if (row[metric]) values.push_back(*row[metric]);
  }
  if (values.empty()) return std::nullopt;
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return SampleSummary{.min = *min,
                       .mean = sum / static_cast<double>(values.size()),
                       .max = *max,
                       .increase = values.back() - values.front()};
}

MetricsSampler::MetricsSampler(std::vector<std::string> urls, GetOptions options)
    : urls_(std::move(urls)), options_(std::move(options)) {
  if (!urls_.empty()) thread_ = std::thread([this] { Run(); });
}

MetricSamples MetricsSampler::Stop() {
  if (!thread_.joinable()) return {};
  {
    std::lock_guard lock(mutex_);
    is_over_ = true;
    changed_.notify_one();
  }
  thread_.join();
  return std::move(samples_);
}

void MetricsSampler::Run() {
  bool is_over = false;
  while (!is_over) {
    Sample();
    std::unique_lock lock(mutex_);
    is_over = changed_.wait_for(lock, kInterval, [&] { return is_over_; });
  }
  Sample();
}

void MetricsSampler::Sample() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::string> texts;
  for (const std::string& url : urls_) {
    auto text = HttpGet(url, options_);
    if (text.ok()) {
      texts.push_back(*std::move(text));
    } else {
      ++samples_.num_failed;
      samples_.error = absl::StrCat(url, ": ", text.status().message());
    }
  }
  samples_.times_s.push_back(std::chrono::duration<double>(now - start_).count());
  samples_.rows.push_back(ReadServerMetrics(texts));
}

}  // namespace weft::bench
