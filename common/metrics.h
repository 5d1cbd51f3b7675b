// The process's Prometheus metrics. A tier makes its families once at start and
// keeps references: counting is then an atomic add.
//
// Names start with weft_; labels are few and bounded (never a request id).
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace weft {

// Time to first token, seconds: OpenTelemetry's GenAI buckets and what a queue
// adds to them.
inline const prometheus::Histogram::BucketBoundaries kTtftBuckets = {
    .001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160};
// Gaps between tokens and steps, seconds: small models step well below 10 ms.
inline const prometheus::Histogram::BucketBoundaries kStepBuckets = {
    .0005, .001, .0025, .005, .0075, .01, .015, .025, .05, .1, .2, .5, 1, 2.5};
// Whole requests and their phases, seconds.
inline const prometheus::Histogram::BucketBoundaries kDurationBuckets = {
    .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560};
// Planning and other host work, seconds.
inline const prometheus::Histogram::BucketBoundaries kHostBuckets = {
    .000005, .00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .1};
// Tokens of a request or a step: 1-2-5.
inline const prometheus::Histogram::BucketBoundaries kTokenBuckets = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000};

class Metrics {
 public:
  // `tier` labels weft_build_info. `model` labels all that follows, where the process is of
  // one model (its first served name); empty: it is of several, or does not know.
  explicit Metrics(const std::string& tier, const std::string& model = "");

  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const prometheus::Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help,
                           const prometheus::Labels& labels = {});
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const prometheus::Histogram::BucketBoundaries& buckets,
                                   const prometheus::Labels& labels = {});

  // Runs `refresh` before each Text: for gauges that are read when somebody asks. Any thread.
  void BeforeText(std::function<void()> refresh);

  // The exposition text, with process_* read at that moment. Any thread.
  std::string Text() const;

 private:
  const prometheus::Labels constant_labels_;
  mutable std::mutex mutex_;
  std::vector<std::function<void()>> refreshes_;
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
};

}  // namespace weft
