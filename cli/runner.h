// Runs the processes as the Supervisor says: starts, signals and reaps
// them, passes their log on, asks them for readiness, and hears Ctrl-C.
#pragma once

#include <string>
#include <vector>

#include "cli/supervisor.h"

namespace weft::cli {

struct MemberCommand {
  std::vector<std::string> argv;
  // "NAME=value", beside what this process has: for what the list of processes must not show.
  std::vector<std::string> environment;
  int admin_port = 0;  // answers /readyz on 127.0.0.1
};

struct RunnerOptions {
  std::vector<std::string> groups;      // the models' names
  std::vector<MemberCommand> commands;  // by Members
  Duration drain_timeout{0};
  std::string greeting;  // to standard output, once all are ready
};

// Returns the exit code for the whole: 0 after a drain. To be called once, on the
// main thread, before there are others; SIGINT and SIGTERM stay blocked behind it.
int Run(const RunnerOptions& options);

// True for a line that the tier's logger wrote (common/log.h), in either format.
bool IsLogLine(const std::string& line, const std::string& tier);

}  // namespace weft::cli
