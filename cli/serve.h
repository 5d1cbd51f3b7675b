// `weft serve MODEL...`: a gateway, and a scheduler and a worker for each model, on this machine,
// as one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/interrupts.h"
#include "cli/runner.h"
#include "common/log.h"
#include "common/tracer.h"

namespace weft {
class Flags;
}

namespace weft::cli {

struct ServeOptions {
  std::vector<std::string> models;
  // Of each model, "a,b"; none: the folders' names, and owner/name of the hub's.
  std::vector<std::string> served_model_names;
  std::string host = "127.0.0.1";
  int port = 8000;
  int grpc_port = 8001;
  // Of the first model; further ones have the next numbers. 0 takes free ones.
  int scheduler_port = 0;
  int scheduler_admin_port = 0;
  int worker_admin_port = 0;
  int gateway_admin_port = 0;
  double drain_timeout = 30;
  std::vector<std::string> api_keys;  // each one or several, apart by commas
  TraceOptions trace;
  LogOptions log;
  bool enable_prefix_caching = true;
  bool playground = true;
  bool force_thinking = false;
  bool enforce_eager = false;
  // Flags that a tier reads and this one only hands on: "--dtype" -> "float32". An empty
  // value was not given.
  std::map<std::string, std::string> worker, scheduler, gateway;
  // Refused unless they ask for what is there.
  std::string quantization;
  int tensor_parallel_size = 1;
};

// As clients ask for each model: "a,b".
std::vector<std::string> NamesOf(const ServeOptions& options);

void AddServeFlags(Flags& flags, ServeOptions& options);

// What can be judged before anything starts: the model folders, flags whose other
// values are not built.
absl::Status Validate(const ServeOptions& options);

// Models of the hub become folders of its cache, and keep their names. Cancelled: a signal has
// come.
absl::Status FetchModels(ServeOptions& options, const Interrupts& interrupts);

// The command lines and what to say once all are ready. Every port is
// chosen. `bin` is the folder of the executables.
absl::StatusOr<RunnerOptions> Commands(const ServeOptions& options, const std::string& bin);

// The subcommand; returns the exit code.
int Serve(int argc, const char* const* argv);

}  // namespace weft::cli
