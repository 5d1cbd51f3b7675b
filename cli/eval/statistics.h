// How sure an accuracy is.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::eval {

struct Estimate {
  double mean = 0;
  double standard_error = 0;
};

// The mean of all values, which come in groups that are not independent of each other: the answers
// to one problem under several seeds. The error is that of a mean over groups (CR1 of a regression
// on a constant); with one value a group it is the usual one. 0 with fewer than two groups.
Estimate ClusteredMean(const std::vector<std::vector<double>>& groups);

struct Interval {
  double low = 0;
  double high = 1;
};

// Wilson's, of a proportion of independent trials; 1.96: 95%.
Interval WilsonInterval(int64_t num_successes, int64_t num_trials, double z = 1.96);

}  // namespace weft::eval
