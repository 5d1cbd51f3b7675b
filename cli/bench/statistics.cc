#include "cli/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "common/check.h"

namespace weft::bench {
namespace {

// 0 for an answer of one token, which no bound on TPOT judges.
double Tpot(const RequestRecord& request) {
  if (request.num_output_tokens < 2) return 0;
  return (request.e2e_ms - request.ttft_ms) / static_cast<double>(request.num_output_tokens - 1);
}

bool IsGood(const RequestRecord& request, const Slo& slo) {
  const auto keeps = [](double value, const std::optional<double>& bound) {
    return !bound || value <= *bound;
  };
  return keeps(request.ttft_ms, slo.ttft) && keeps(Tpot(request), slo.tpot) &&
         keeps(request.mean_itl_ms, slo.itl) && keeps(request.e2e_ms, slo.e2el);
}

}  // namespace

void Measurements::AddError(const std::string& kind, const std::string& example, double after_ms) {
  ErrorCount& error = errors[kind];
  if (error.count() == 0) error.example = example;
  error.after_ms.push_back(static_cast<float>(after_ms));
}

void Measurements::Merge(Measurements&& other) {
  requests.insert(requests.end(), other.requests.begin(), other.requests.end());
  itl_ms.insert(itl_ms.end(), other.itl_ms.begin(), other.itl_ms.end());
  for (auto& [kind, error] : other.errors) {
    ErrorCount& mine = errors[kind];
    if (mine.count() == 0) mine.example = std::move(error.example);
    mine.after_ms.insert(mine.after_ms.end(), error.after_ms.begin(), error.after_ms.end());
  }
}

template <typename T>
double Percentile(const std::vector<T>& sorted, double percent) {
  WEFT_CHECK(!sorted.empty());
  const double position = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = position - static_cast<double>(below);
  return static_cast<double>(sorted[below]) * (1 - part) +
         static_cast<double>(sorted[above]) * part;
}

template <typename T>
Summary Summarize(std::vector<T> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (T value : values) sum += static_cast<double>(value);
  const double mean = sum / count;
  double squares = 0;
  for (T value : values)
    squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
  return {.mean = mean,
          .std = std::sqrt(squares / count),
          .p50 = Percentile(values, 50),
          .p90 = Percentile(values, 90),
          .p99 = Percentile(values, 99),
          .max = static_cast<double>(values.back())};
}

template Summary Summarize(std::vector<float> values);
template Summary Summarize(std::vector<double> values);
template double Percentile(const std::vector<float>& sorted, double percent);
template double Percentile(const std::vector<double>& sorted, double percent);

double Results::PerSecond(int64_t count) const {
  return duration_s > 0 ? static_cast<double>(count) / duration_s : 0;
}

Results Summarize(const Measurements& measured, double duration_s, const Slo& slo) {
  Results results{.duration_s = duration_s,
                  .num_succeeded = static_cast<int64_t>(measured.requests.size())};
  for (const auto& [kind, error] : measured.errors) results.num_failed += error.count();
  std::vector<double> ttft, tpot, e2e, late, sent_ttft, sent_e2e;
  for (const RequestRecord& request : measured.requests) {
    results.num_prompt_tokens += request.num_prompt_tokens;
    results.num_output_tokens += request.num_output_tokens;
    results.num_good += IsGood(request, slo);
    ttft.push_back(request.ttft_ms);
    e2e.push_back(request.e2e_ms);
    late.push_back(request.late_ms);
    sent_ttft.push_back(request.ttft_ms - request.late_ms);
    sent_e2e.push_back(request.e2e_ms - request.late_ms);
    if (request.num_output_tokens > 1) tpot.push_back(Tpot(request));
  }
  results.ttft_ms = Summarize(std::move(ttft));
  results.tpot_ms = Summarize(std::move(tpot));
  results.itl_ms = Summarize(measured.itl_ms);
  results.e2e_ms = Summarize(std::move(e2e));
  results.late_ms = Summarize(std::move(late));
  results.ttft_from_sending_ms = Summarize(std::move(sent_ttft));
  results.e2e_from_sending_ms = Summarize(std::move(sent_e2e));
  return results;
}

}  // namespace weft::bench
