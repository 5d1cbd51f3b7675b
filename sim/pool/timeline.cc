#include "sim/pool/timeline.h"

#include <algorithm>

#include "common/check.h"

namespace weft::sim {

using core::Micros;

void Timeline::Add(Series series, Micros begin, Micros end, double value) {
  WEFT_CHECK(0 <= begin && begin <= end);
  while (end > bucket_us_ * kMaxBuckets) DoubleBuckets();
  while (begin < end) {
    const size_t index = static_cast<size_t>(begin / bucket_us_);
    const Micros bucket_end = std::min(end, static_cast<Micros>(index + 1) * bucket_us_);
    if (index >= buckets_.size()) buckets_.resize(index + 1, Bucket{});
    buckets_[index][series] += value * static_cast<double>(bucket_end - begin);
    begin = bucket_end;
  }
}

void Timeline::DoubleBuckets() {
  bucket_us_ *= 2;
  const size_t num_buckets = (buckets_.size() + 1) / 2;
  for (size_t i = 0; i < num_buckets; ++i) {
    Bucket sum = buckets_[2 * i];
    if (2 * i + 1 < buckets_.size()) {
      for (int series = 0; series < kNumSeries; ++series)
        sum[series] += buckets_[2 * i + 1][series];
    }
    buckets_[i] = sum;
  }
  buckets_.resize(num_buckets);
}

std::vector<double> Timeline::Columns(Series series, int num_columns, Micros duration) const {
  WEFT_CHECK(duration > 0);
  std::vector<double> columns(num_columns, 0.0);
  const double width_us = static_cast<double>(duration) / num_columns;
  for (int i = 0; i < num_columns; ++i) {
    const double begin = i * width_us;
    const double end = begin + width_us;
    for (size_t k = static_cast<size_t>(begin / bucket_us_); k < buckets_.size(); ++k) {
      const double bucket_begin = static_cast<double>(k) * bucket_us_;
      // The last bucket may reach beyond the end of time.
      const double bucket_end = std::min<double>(bucket_begin + bucket_us_, duration);
      if (bucket_begin >= end) break;
      const double overlap = std::min(end, bucket_end) - std::max(begin, bucket_begin);
      columns[i] +=
          buckets_[k][series] * std::max(0.0, overlap) / (bucket_end - bucket_begin) / width_us;
    }
  }
  return columns;
}

}  // namespace weft::sim
