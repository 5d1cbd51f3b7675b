// One log line format for every tier, on stderr. Code logs with spdlog itself:
// spdlog::info("loaded {} blocks", n).
//
//   text  2026-11-01 12:00:00.123 I worker: ready
//   json  {"time":"2026-11-01T12:00:00.123Z","level":"info","tier":"worker","message":"ready"}
//
// Prompts, outputs, keys and template texts are never logged.
#pragma once

#include <string>

namespace weft {

struct LogOptions {
  std::string format = "text";  // text, json
  std::string level = "info";   // debug, info, warning, error
};

class Flags;

// --log-format and --log-level.
void AddLogFlags(Flags& flags, LogOptions& options);

// Once, at the start of main. `tier` stands in every line.
void InitLog(const std::string& tier, const LogOptions& options);

}  // namespace weft
