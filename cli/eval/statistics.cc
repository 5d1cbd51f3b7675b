#include "cli/eval/statistics.h"

#include <cmath>

namespace weft::eval {

Estimate ClusteredMean(const std::vector<std::vector<double>>& groups) {
  double sum = 0, num_values = 0, num_groups = 0;
  for (const std::vector<double>& group : groups) {
    for (const double value : group) sum += value;
    num_values += static_cast<double>(group.size());
    num_groups += group.empty() ? 0 : 1;
  }
  if (num_values == 0) return {};
  const double mean = sum / num_values;
  if (num_groups < 2) return {.mean = mean};
  double squares = 0;
  for (const std::vector<double>& group : groups) {
    double deviation = 0;
    for (const double value : group) deviation += value - mean;
    squares += deviation * deviation;
  }
  const double variance = squares * num_groups / (num_groups - 1) / (num_values * num_values);
  return {.mean = mean, .standard_error = std::sqrt(variance)};
}

Interval WilsonInterval(int64_t num_successes, int64_t num_trials, double z) {
  if (num_trials == 0) return {};
  const double n = static_cast<double>(num_trials), p = static_cast<double>(num_successes) / n;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {.low = centre - half, .high = centre + half};
}

}  // namespace weft::eval
