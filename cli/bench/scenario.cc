#include "cli/bench/scenario.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/bench/traffic_flags.h"
#include "common/json_fields.h"

namespace weft::bench {
namespace {

// A dataset is read whole.
constexpr int64_t kMaxDatasetBytes = int64_t{1} << 30;
constexpr int kDefaultPrompts = 1000;
constexpr int kMaxConcurrency = 1'000'000;

std::vector<std::string> Split(const std::string& list) {
  return absl::StrSplit(list, ',', absl::SkipWhitespace());
}

absl::StatusOr<std::vector<double>> ParseRates(const std::string& list) {
  std::vector<double> rates;
  for (const std::string& text : Split(list)) {
    double rate = 0;
    if (!absl::SimpleAtod(text, &rate) || !(rate == 0 || rate >= kMinRequestRate)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--request-rate ", list, ": ", text, " is no rate; one is at least ", kMinRequestRate,
          " a second, or 0 or inf for all at once; several are 2,4,8"));
    }
    rates.push_back(std::isinf(rate) ? 0 : rate);
  }
  if (rates.empty())
    return absl::InvalidArgumentError("--request-rate is empty; it is as 8 or inf");
  return rates;
}

absl::StatusOr<std::vector<int>> ParseConcurrencies(const std::string& list) {
  std::vector<int> limits;
  for (const std::string& text : Split(list)) {
    int limit = 0;
    if (!absl::SimpleAtoi(text, &limit) || limit < 0 || limit > kMaxConcurrency) {
      return absl::InvalidArgumentError(absl::StrCat("--max-concurrency ", list, ": ", text,
                                                     " is no number from 0 to ", kMaxConcurrency,
                                                     "; several are 1,8,64"));
    }
    limits.push_back(limit);
  }
  if (limits.empty()) {
    return absl::InvalidArgumentError("--max-concurrency is empty; it is as 64, or 0 for no limit");
  }
  return limits;
}

absl::StatusOr<std::vector<RunPoint>> ParseRuns(const Options& options) {
  const auto rates = ParseRates(options.request_rate);
  if (!rates.ok()) return rates.status();
  const auto limits = ParseConcurrencies(options.max_concurrency);
  if (!limits.ok()) return limits.status();
  if (rates->size() > 1 && limits->size() > 1) {
    return absl::InvalidArgumentError(
        "--request-rate and --max-concurrency: one of them may have several values, not both");
  }
  std::vector<RunPoint> runs;
  for (double rate : *rates) {
    for (int limit : *limits) runs.push_back({.request_rate = rate, .max_concurrency = limit});
  }
  return runs;
}

absl::StatusOr<std::vector<std::string>> ParseMetricsUrls(const std::string& list) {
  std::vector<std::string> urls = Split(list);
  for (const std::string& url : urls) {
    if (url.starts_with("http://") || url.starts_with("https://")) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--metrics-url ", url, ": it looks like http://127.0.0.1:9100/metrics"));
  }
  return urls;
}

absl::Status ReadDataset(const Options& options, Scenario& scenario) {
  const auto text = ReadFile(options.dataset_path, kMaxDatasetBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--dataset-path ", text.status().message()));
  }
  auto dataset = Dataset::Parse(absl::StrCat("--dataset-path ", options.dataset_path), *text);
  if (!dataset.ok()) return dataset.status();
  if (options.endpoint != "chat") {
    if (const std::string place = dataset->FirstConversation(); !place.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--dataset-path ", options.dataset_path, " ", place,
          ": several messages are no prompt of completions; they need --endpoint chat"));
    }
  }
  scenario.dataset = *std::move(dataset);
  return absl::OkStatus();
}

absl::Status DescribeTraffic(const Options& options, Scenario& scenario) {
  const auto input = ParseLengths("--random-input-len", options.random_input_len);
  if (!input.ok()) return input.status();
  const auto output = ParseLengths("--random-output-len", options.random_output_len);
  if (!output.ok()) return output.status();
  const bool has_dataset = !scenario.dataset.empty();
  const int num_default = has_dataset ? scenario.dataset.size() : kDefaultPrompts;
  scenario.traffic = {.num_requests = options.num_prompts > 0 ? options.num_prompts : num_default,
                      .burstiness = options.burstiness,
                      .input = *input,
                      .output = *output,
                      .prefix_len = has_dataset ? 0 : options.prefix_len,
                      .num_prefixes = options.num_prefixes,
                      .seed = options.seed};
  return absl::OkStatus();
}

}  // namespace

std::vector<sim::Arrival> Scenario::Requests(const RunPoint& run) const {
  if (!recorded.empty()) return recorded;
  sim::TrafficOptions drawn = traffic;
  drawn.request_rate = run.request_rate;
  return sim::DrawTraffic(drawn);
}

absl::StatusOr<Scenario> MakeScenario(const Options& options) {
  Scenario scenario;
  auto target = ParseUrl(options.base_url);
  if (!target.ok()) return target.status();
  scenario.target = *std::move(target);
  auto slo = ParseSlo(options.slo);
  if (!slo.ok()) return slo.status();
  scenario.slo = *slo;
  auto urls = ParseMetricsUrls(options.metrics_url);
  if (!urls.ok()) return urls.status();
  scenario.metrics_urls = *std::move(urls);
  auto runs = ParseRuns(options);
  if (!runs.ok()) return runs.status();
  scenario.runs = *std::move(runs);
  if (!options.trace.empty()) {
    auto recorded = ReadTrace(options.trace, options.prefix_len);
    if (!recorded.ok()) return recorded.status();
    scenario.recorded = *std::move(recorded);
    for (RunPoint& run : scenario.runs) run.request_rate = 0;  // the trace says when
    return scenario;
  }
  if (!options.dataset_path.empty()) {
    if (absl::Status status = ReadDataset(options, scenario); !status.ok()) return status;
  }
  if (absl::Status status = DescribeTraffic(options, scenario); !status.ok()) return status;
  return scenario;
}

}  // namespace weft::bench
