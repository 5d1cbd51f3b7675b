// A simulation's results as a table for people and as JSON for scripts, in the terms
// of `weft bench`.
#pragma once

#include <string>

#include "cli/bench/statistics.h"
#include "cli/simulate/options.h"
#include "sim/core_simulation.h"
#include "sim/faults/fault_simulation.h"
#include "sim/pool/pool_simulation.h"

namespace weft::simulate {

struct Report {
  const Options& options;
  const sim::PoolOptions& pool;
  const sim::PoolReport& outcome;
  const bench::Results& results;
};

bench::Results Summarize(const sim::PoolReport& outcome, const bench::Slo& slo);

// "2 x H200, 12345 KV blocks each"
std::string PoolName(const sim::PoolOptions& pool);

std::string Table(const Report& report);
std::string Json(const Report& report);

// Of a history of each simulation of faults: of the scheduler's core alone, and of all tiers.
std::string ReplayTable(uint64_t seed, const sim::SimulationReport& report);
std::string ReplayTable(uint64_t seed, const sim::FaultReport& report);

}  // namespace weft::simulate
