#include "cli/bench/server_metrics.h"

#include <algorithm>

#include "absl/strings/numbers.h"

namespace weft::bench {
namespace {

struct Sample {
  std::string_view name;
  double value = 0;
};

// name{labels} value [timestamp]. nullopt: a comment, an empty line, or no number.
std::optional<Sample> ReadSample(std::string_view line) {
  if (line.empty() || line.front() == '#') return std::nullopt;
  const size_t name_end = line.find_first_of("{ \t");
  if (name_end == std::string_view::npos) return std::nullopt;
  const std::string_view name = line.substr(0, name_end);
  // A label's value may hold braces, and no number does.
  const size_t brace = line[name_end] == '{' ? line.rfind('}') : name_end;
  if (brace == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(brace + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  rest = rest.substr(0, rest.find_first_of(" \t\r"));
  Sample sample{.name = name};
  if (!absl::SimpleAtod({rest.data(), rest.size()}, &sample.value)) return std::nullopt;
  return sample;
}

}  // namespace

const std::vector<ServerMetric>& ServerMetrics() {
  using Kind = ServerMetric::Kind;
  static const std::vector<ServerMetric> metrics = {
      {"Requests running",
       "requests_running",
       Kind::kSum,
       {{"weft_scheduler_requests_running"},
        {"vllm:num_requests_running"},
        {"llamacpp:requests_processing"}}},
      {"Requests waiting",
       "requests_waiting",
       Kind::kSum,
       {{"weft_scheduler_requests_waiting"},
        {"vllm:num_requests_waiting"},
        {"llamacpp:requests_deferred"}}},
      {"KV cache usage (%)",
       "kv_cache_usage_percent",
       Kind::kMax,
       {{"weft_scheduler_kv_cache_usage_ratio", 100},
        {"vllm:kv_cache_usage_perc", 100},
        {"llamacpp:kv_cache_usage_ratio", 100}}},
      {"Preemptions",
       "preemptions",
       Kind::kCounter,
       {{"weft_scheduler_preemptions_total"}, {"vllm:num_preemptions_total"}}},
      {"GPU memory used (GiB)",
       "gpu_memory_used_gib",
       Kind::kSum,
       {{"weft_worker_gpu_memory_used_bytes", 1.0 / (1 << 30)},
        {"DCGM_FI_DEV_FB_USED", 1.0 / (1 << 10)}}},
  };
  return metrics;
}

std::vector<std::optional<double>> ReadServerMetrics(const std::vector<std::string>& texts) {
  const std::vector<ServerMetric>& metrics = ServerMetrics();
  std::vector<std::optional<double>> values(metrics.size());
  const auto take = [&](const Sample& sample) {
    for (size_t i = 0; i < metrics.size(); ++i) {
      for (const ServerMetric::Source& source : metrics[i].sources) {
        if (sample.name != source.name) continue;
        const double value = sample.value * source.factor;
        if (!values[i]) {
          values[i] = value;
        } else if (metrics[i].kind == ServerMetric::Kind::kMax) {
          values[i] = std::max(*values[i], value);
        } else {
          *values[i] += value;
        }
      }
    }
  };
  for (std::string_view text : texts) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (const std::optional<Sample> sample = ReadSample(text.substr(0, end))) take(*sample);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  return values;
}

}  // namespace weft::bench
