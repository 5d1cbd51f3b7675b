// One log line format for every tier, on stderr. Code logs with spdlog itself:
// spdlog::info("loaded {} blocks", n).
//
//   text  2026-11-01 12:00:00.123 I worker: ready
//   json  {"time":"2026-11-01T12:00:00.123Z","level":"info","tier":"worker","message":"ready"}
//
// Lines about a request that is part of a distributed trace name it (LogTrace): as text behind
// the message, " trace_id=0af7651916cd43dd8448eb211c80319c", in JSON as a field "trace_id".
//
// Prompts, outputs, keys and template texts are never logged.
#pragma once

#include <string>

#include "common/trace_context.h"

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

// While one lives, this thread's lines are about a request of that trace. One that is not
// valid() says nothing.
class LogTrace {
 public:
  explicit LogTrace(const SpanContext& context);
  ~LogTrace();
  LogTrace(const LogTrace&) = delete;
  LogTrace& operator=(const LogTrace&) = delete;

 private:
  const SpanContext before_;
};

}  // namespace weft
