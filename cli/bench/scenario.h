// What the flags come to: the runs of a sweep, and what each sends when.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/bench/dataset.h"
#include "cli/bench/options.h"
#include "cli/bench/slo.h"
#include "cli/bench/target.h"
#include "sim/pool/traffic.h"

namespace weft::bench {

// One point of a sweep.
struct RunPoint {
  double request_rate = 0;  // per second; 0: all at once
  int max_concurrency = 0;  // 0: no limit
};

struct Scenario {
  Target target;
  Slo slo;
  std::vector<std::string> metrics_urls;
  std::vector<RunPoint> runs;
  Dataset dataset;                     // empty: prompts are random
  std::vector<sim::Arrival> recorded;  // empty: drawn
  sim::TrafficOptions traffic;         // otherwise; its rate is each run's

  // In the order of arrival.
  std::vector<sim::Arrival> Requests(const RunPoint& run) const;
  // Requests arrive when they do, not when a slot is free: the load is open-loop.
  bool HasSchedule(const RunPoint& run) const { return !recorded.empty() || run.request_rate > 0; }
};

// Reads --trace and --dataset-path. An error names the flag that is wrong.
absl::StatusOr<Scenario> MakeScenario(const Options& options);

}  // namespace weft::bench
