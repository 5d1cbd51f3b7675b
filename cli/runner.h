// Runs the three processes as the Supervisor says: starts, signals and reaps
// them, passes their log on, asks them for readiness, and hears Ctrl-C.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "cli/supervisor.h"

namespace weft::cli {

struct TierCommand {
  std::vector<std::string> argv;
  int admin_port = 0;  // answers /readyz on 127.0.0.1
};

struct RunnerOptions {
  std::array<TierCommand, kTiers.size()> commands;  // in the order of kTiers
  Duration drain_timeout{0};
  std::string greeting;  // to standard output, once all are ready
};

// Returns the exit code for the whole: 0 after a drain. To be called once, on the
// main thread, before there are others; SIGINT and SIGTERM stay blocked behind it.
int Run(const RunnerOptions& options);

// True for a line that the tier's logger wrote (common/log.h), in either format.
bool IsLogLine(const std::string& line, const std::string& tier);

}  // namespace weft::cli
