// The results as a table for people and as JSON for scripts, both in the terms of
// `vllm bench serve`.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/bench/accounting.h"
#include "cli/bench/load.h"
#include "cli/bench/metrics_sampler.h"
#include "cli/bench/options.h"
#include "cli/bench/scenario.h"
#include "cli/bench/statistics.h"

namespace weft::bench {

// One run, over.
struct RunReport {
  RunPoint run;
  bool has_schedule = false;  // latencies count from arrivals, which may be before the sending
  int num_prompts = 0;
  LoadOutcome outcome;
  Results results;
  TokenAccount account;
  MetricSamples metrics;
};

// "rate 8", "concurrency 64", or both: what is this run's own in a sweep.
std::string NameOf(const RunPoint& run);

// `options` with the model's name.
std::string Table(const Options& options, const RunReport& report);
// A line for each run.
std::string SweepTable(const Options& options, const std::vector<RunReport>& reports);

// One run's object; of a sweep {"runs": [...]}.
std::string Json(const Options& options, const std::vector<RunReport>& reports);

// mean_<name>_ms, median_<name>_ms and so on.
void AddFields(boost::json::object& json, const std::string& name, const Summary& summary);

// `flag` is the one that names the file, for errors.
absl::Status WriteFile(const char* flag, const std::string& path, const std::string& text);

}  // namespace weft::bench
