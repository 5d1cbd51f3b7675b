#include "cli/compare/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "common/check.h"

namespace weft::compare {
namespace {

// Between the 2.5th and the 97.5th percentile of the standard normal distribution.
constexpr double kNormalQuantile = 1.959963984540054;

double TQuantile(int degrees_of_freedom) {
  return boost::math::quantile(boost::math::students_t(degrees_of_freedom), 0.975);
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<Estimate> EstimateFromLogs(const std::vector<double>& logs) {
  if (logs.empty()) return std::nullopt;
  const auto count = static_cast<double>(logs.size());
  const double mean = Mean(logs);
  Estimate estimate{.value = std::exp(mean), .num = static_cast<int>(logs.size())};
  if (estimate.num < 2) return estimate;
  double squares = 0;
  for (const double log : logs) squares += (log - mean) * (log - mean);
  const double error = std::sqrt(squares / (count - 1) / count);
  const double half = TQuantile(estimate.num - 1) * error;
  estimate.interval = Interval{.low = std::exp(mean - half), .high = std::exp(mean + half)};
  return estimate;
}

double Log(double value) {
  WEFT_CHECK(std::isfinite(value) && value > 0);
  return std::log(value);
}

// The normal interval of a mean over `values` and `added` pseudo-observations.
Interval AdjustedInterval(std::vector<double> values, const std::vector<double>& added) {
  values.insert(values.end(), added.begin(), added.end());
  const auto count = static_cast<double>(values.size());
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = kNormalQuantile * std::sqrt(squares) / count;
  return {.low = mean - half, .high = mean + half};
}

}  // namespace

std::optional<Estimate> GeometricMean(const Runs& runs) {
  std::vector<double> logs;
  for (const std::optional<double>& run : runs) {
    if (run) logs.push_back(Log(*run));
  }
  return EstimateFromLogs(logs);
}

std::optional<Estimate> PairedRatio(const Runs& a, const Runs& b) {
  WEFT_CHECK(a.size() == b.size());
  std::vector<double> logs;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] && b[i]) logs.push_back(Log(*a[i]) - Log(*b[i]));
  }
  return EstimateFromLogs(logs);
}

std::optional<Estimate> Accuracy(const Scores& scores) {
  if (scores.empty()) return std::nullopt;
  Interval interval = AdjustedInterval(scores, {0, 0, 1, 1});
  interval = {.low = std::max(0.0, interval.low), .high = std::min(1.0, interval.high)};
  return Estimate{
      .value = Mean(scores), .interval = interval, .num = static_cast<int>(scores.size())};
}

std::optional<Estimate> AccuracyDifference(const Scores& a, const Scores& b) {
  WEFT_CHECK(a.size() == b.size());
  if (a.empty()) return std::nullopt;
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  // Half a problem each that A alone, B alone, both and neither got right: two problems
  // more, whose differences sum up to 0 and their squares to 1.
  const double half = std::sqrt(0.5);
  const Interval interval = AdjustedInterval(differences, {half, -half});
  return Estimate{
      .value = Mean(differences), .interval = interval, .num = static_cast<int>(a.size())};
}

Outcome Judge(const std::optional<Estimate>& estimate, double neutral) {
  if (!estimate || !estimate->interval) return Outcome::kNotMeasured;
  if (estimate->interval->low > neutral) return Outcome::kAHigher;
  if (estimate->interval->high < neutral) return Outcome::kBHigher;
  return Outcome::kNoDifference;
}

}  // namespace weft::compare
