// What a pool did over time, in a bounded number of buckets: when time outgrows
// them, each becomes twice as long. Averages stay exact, within a bucket only they
// are told.
#pragma once

#include <array>
#include <vector>

#include "scheduler/core/types.h"

namespace weft::sim {

class Timeline {
 public:
  enum Series { kRunning, kWaiting, kBlocksInUse, kOutputTokensPerSecond };
  static constexpr int kNumSeries = 4;

  // The series had `value` from `begin` to `end`; what is added for a time that
  // already has a value comes on top. 0 where nothing was added.
  void Add(Series series, core::Micros begin, core::Micros end, double value);

  // The averages over `num_columns` equal parts of [0, duration), in order.
  // Precondition: duration > 0.
  std::vector<double> Columns(Series series, int num_columns, core::Micros duration) const;

 private:
  // Some for each column of any picture.
  static constexpr int kMaxBuckets = 1024;

  using Bucket = std::array<double, kNumSeries>;  // value times microseconds
  void DoubleBuckets();

  core::Micros bucket_us_ = 1;
  std::vector<Bucket> buckets_;
};

}  // namespace weft::sim
