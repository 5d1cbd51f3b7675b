#include "cli/simulate/simulate.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <string>
#include <utility>

#include "cli/bench/report.h"
#include "cli/simulate/chart.h"
#include "cli/simulate/options.h"
#include "cli/simulate/report.h"
#include "cli/simulate/svg.h"
#include "common/flags.h"
#include "sim/core_simulation.h"
#include "sim/faults/fault_simulation.h"
#include "sim/pool/pool_simulation.h"

namespace weft::simulate {
namespace {

// In the SVG; finer than that no screen shows.
constexpr int kSvgColumns = 300;

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "weft simulate: " << status.message() << '\n';
  return exit_code;
}

int Refuse(const absl::Status& status) {
  Fail(status, 2);
  std::cerr << "See --help.\n";
  return 2;
}

int Replay(uint64_t seed) {
  spdlog::set_level(spdlog::level::off);  // peers are lost all the time
  const sim::SimulationReport core = sim::SimulateCore(seed);
  const sim::FaultReport all = sim::SimulateFaults(seed);
  std::cout << ReplayTable(seed, core) << '\n' << ReplayTable(seed, all) << std::flush;
  return core.violation.empty() && all.violation.empty() ? 0 : 1;
}

absl::Status WriteFiles(const Report& report, double duration_s) {
  const Options& options = report.options;
  if (!options.json.empty()) {
    const absl::Status status = bench::WriteFile("--json", options.json, Json(report));
    if (!status.ok()) return status;
  }
  if (!options.svg.empty() && report.outcome.duration > 0) {
    const std::string svg =
        SvgChart(MakePanels(report.outcome, kSvgColumns), duration_s, PoolName(report.pool));
    return bench::WriteFile("--svg", options.svg, svg);
  }
  return absl::OkStatus();
}

}  // namespace

int Simulate(int argc, const char* const* argv) {
  Options options;
  Flags flags("weft simulate",
              "Sizes a pool before it is bought: the real scheduler on simulated time, workers "
              "whose steps take as long as a GPU's roofline says, drawn or recorded traffic. One "
              "seed, one result.");
  AddSimulateFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
  if (absl::Status status = CheckTogether(argc, argv); !status.ok()) return Refuse(status);
  if (!options.replay.empty()) {
    const absl::StatusOr<uint64_t> seed = ReplaySeed(options);
    return seed.ok() ? Replay(*seed) : Refuse(seed.status());
  }
  const absl::StatusOr<Scenario> scenario = MakeScenario(options);
  if (!scenario.ok()) return Refuse(scenario.status());
  // Told before the work rather than after.
  for (const auto& [flag, file] : {std::pair("--json", options.json), {"--svg", options.svg}}) {
    if (file.empty()) continue;
    if (absl::Status status = bench::WriteFile(flag, file, ""); !status.ok()) {
      return Fail(status, 2);
    }
  }

  const sim::PoolReport outcome = sim::SimulatePool(scenario->pool, scenario->arrivals);
  const bench::Results results = Summarize(outcome, scenario->slo);
  const Report report{
      .options = options, .pool = scenario->pool, .outcome = outcome, .results = results};
  std::cout << Table(report);
  if (outcome.duration > 0) {
    std::cout << TerminalChart(MakePanels(outcome, kTerminalColumns), results.duration_s);
  }
  std::cout << std::flush;
  const absl::Status status = WriteFiles(report, results.duration_s);
  return status.ok() ? 0 : Fail(status, 1);
}

}  // namespace weft::simulate
