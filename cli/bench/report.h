// The results as a table for people and as JSON for scripts, both in the terms of
// `vllm bench serve`.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "cli/bench/load.h"
#include "cli/bench/options.h"
#include "cli/bench/statistics.h"

namespace weft::bench {

struct Report {
  const Options& options;  // with the model's name
  const LoadOutcome& outcome;
  const Results& results;
};

std::string Table(const Report& report);
std::string Json(const Report& report);
absl::Status WriteFile(const std::string& path, const std::string& text);

}  // namespace weft::bench
