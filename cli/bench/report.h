// The results as a table for people and as JSON for scripts, both in the terms of
// `vllm bench serve`.
#pragma once

#include <boost/json/object.hpp>
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

// mean_<name>_ms, median_<name>_ms and so on.
void AddFields(boost::json::object& json, const std::string& name, const Summary& summary);

// `flag` is the one that names the file, for errors.
absl::Status WriteFile(const char* flag, const std::string& path, const std::string& text);

}  // namespace weft::bench
