// `weft serve MODEL`: gateway, scheduler and worker on this machine, as one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/runner.h"
#include "common/log.h"

namespace weft {
class Flags;
}

namespace weft::cli {

struct ServeOptions {
  std::string model;
  std::string served_model_name;  // empty: the folder's name
  std::string host = "127.0.0.1";
  int port = 8000;
  int grpc_port = 8001;
  int scheduler_port = 0;  // these: 0 takes a free one
  int gateway_admin_port = 0;
  int scheduler_admin_port = 0;
  int worker_admin_port = 0;
  double drain_timeout = 30;
  LogOptions log;
  bool enable_prefix_caching = true;
  bool enforce_eager = false;
  // Flags that a tier reads and this one only hands on: "--dtype" -> "float32". An empty
  // value was not given.
  std::map<std::string, std::string> worker, scheduler;
  // Refused unless they ask for what is there.
  std::string quantization;
  int tensor_parallel_size = 1;
};

void AddServeFlags(Flags& flags, ServeOptions& options);

// What can be judged before anything starts: the model folder, flags whose other
// values are not built.
absl::Status Validate(const ServeOptions& options);

// The three command lines and what to say once they are ready. Every port is
// chosen. `bin` is the folder of the three executables.
absl::StatusOr<RunnerOptions> Commands(ServeOptions options, const std::string& bin);

// The subcommand; returns the exit code.
int Serve(int argc, const char* const* argv);

}  // namespace weft::cli
