// The command lines of `weft serve`.
#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/ports.h"
#include "cli/serve.h"
#include "common/check.h"
#include "common/host_port.h"
#include "worker/rpc/load.h"

namespace weft::cli {
namespace {

using Values = std::map<std::string, std::string>;

void Append(const Values& values, std::vector<std::string>& argv) {
  for (const auto& [name, value] : values) {
    if (!value.empty()) argv.push_back(absl::StrCat(name, "=", value));
  }
}

std::string FirstName(const std::string& names) { return names.substr(0, names.find(',')); }

std::string Greeting(const ServeOptions& options, const std::vector<std::string>& names, int port,
                     int grpc_port) {
  const bool is_any = options.host == "0.0.0.0" || options.host == "::";
  const std::string host = is_any ? "127.0.0.1" : options.host;
  const auto tls = options.gateway.find("--tls-cert");
  const bool has_tls = tls != options.gateway.end() && !tls->second.empty();
  const std::string url = absl::StrCat(has_tls ? "https://" : "http://", JoinHostPort(host, port));
  const auto key_file = options.gateway.find("--api-key-file");
  const bool asks_for_key =
      !options.api_keys.empty() || (key_file != options.gateway.end() && !key_file->second.empty());
  std::vector<std::string> first;
  for (const std::string& one : names) first.push_back(FirstName(one));
  const std::string page = options.playground
                               ? absl::StrCat("Talk to ", first.size() == 1 ? "it" : "them",
                                              " in a browser: ", url, "/\n")
                               : "";
  return absl::StrFormat(
      "\n"
      "%s %s served at %s/v1 (gRPC at %s:%d). Ctrl-C ends it.\n"
      "%s"
      "\n"
      "curl %s/v1/chat/completions -H 'Content-Type: application/json' %s\\\n"
      "  -d '{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + "
      "25?\"}]}'\n"
      "\n",
      absl::StrJoin(first, " and "), first.size() == 1 ? "is" : "are", url, host, grpc_port, page,
      url, asks_for_key ? "-H \"Authorization: Bearer $WEFT_API_KEY\" " : "", first[0]);
}

// Where every process listens.
struct Ports {
  int http, grpc, gateway_admin;
  std::vector<int> scheduler, scheduler_admin, worker_admin;  // by model
};

absl::StatusOr<Ports> ChoosePorts(const ServeOptions& options) {
  const int num_models = static_cast<int>(options.models.size());
  Ports ports{.http = options.port,
              .grpc = options.grpc_port,
              .gateway_admin = options.gateway_admin_port,
              .scheduler = {},
              .scheduler_admin = {},
              .worker_admin = {}};
  for (int i = 0; i < num_models; ++i) {
    const auto next = [i](int first) { return first == 0 ? 0 : first + i; };
    ports.scheduler.push_back(next(options.scheduler_port));
    ports.scheduler_admin.push_back(next(options.scheduler_admin_port));
    ports.worker_admin.push_back(next(options.worker_admin_port));
  }
  std::vector<int*> open;
  const auto add = [&](int& port) {
    if (port == 0) open.push_back(&port);
  };
  for (int* port : {&ports.http, &ports.grpc, &ports.gateway_admin}) add(*port);
  for (auto* list : {&ports.scheduler, &ports.scheduler_admin, &ports.worker_admin}) {
    for (int& port : *list) add(port);
  }
  absl::StatusOr<std::vector<int>> free = FreePorts(static_cast<int>(open.size()));
  if (!free.ok()) return free.status();
  for (size_t i = 0; i < open.size(); ++i) *open[i] = (*free)[i];
  return ports;
}

// Several workers on one machine have each a part of what one would take.
Values PartOf(Values flags, int num_models) {
  if (num_models == 1) return flags;
  std::string& utilization = flags["--gpu-memory-utilization"];
  double whole = worker::LoadOptions().memory_utilization;
  if (!utilization.empty()) WEFT_CHECK(absl::SimpleAtod(utilization, &whole));
  utilization = absl::StrCat(whole / num_models);
  std::string& threads = flags["--num-threads"];
  if (threads.empty()) {
    const int num_cores = static_cast<int>(std::thread::hardware_concurrency());
    threads = absl::StrCat(std::max(1, num_cores / num_models));
  }
  return flags;
}

}  // namespace

absl::StatusOr<RunnerOptions> Commands(const ServeOptions& options, const std::string& bin) {
  const absl::StatusOr<Ports> ports = ChoosePorts(options);
  if (!ports.ok()) return ports.status();
  const std::vector<std::string> names = NamesOf(options);
  const int num_models = static_cast<int>(options.models.size());

  // Everything that a tier could also read from the environment, and that has
  // another meaning there, is said here.
  const std::string loopback = "127.0.0.1";
  const auto common = [&](const char* binary, int admin_port) {
    return MemberCommand{
        .argv = {absl::StrCat(bin, "/", binary), absl::StrCat("--admin-host=", loopback),
                 absl::StrCat("--admin-port=", admin_port),
                 absl::StrCat("--log-format=", options.log.format),
                 absl::StrCat("--log-level=", options.log.level)},
        .admin_port = admin_port};
  };

  RunnerOptions runner{
      .groups = {},
      .commands = {},
      .drain_timeout = Duration(static_cast<int64_t>(options.drain_timeout * 1000)),
      .greeting = Greeting(options, names, ports->http, ports->grpc)};
  const Values traces{{"--otlp-endpoint", options.trace.endpoint}};
  MemberCommand gateway = common("weft-gateway", ports->gateway_admin);
  for (size_t i = 0; i < options.models.size(); ++i) {
    runner.groups.push_back(FirstName(names[i]));
    const std::string address = absl::StrCat(loopback, ":", ports->scheduler[i]);

    MemberCommand scheduler = common("weft-scheduler", ports->scheduler_admin[i]);
    scheduler.argv.push_back(absl::StrCat("--host=", loopback));
    scheduler.argv.push_back(absl::StrCat("--served-model-name=", runner.groups.back()));
    scheduler.argv.push_back(absl::StrCat("--port=", ports->scheduler[i]));
    scheduler.argv.push_back(
        absl::StrCat("--enable-prefix-caching=", options.enable_prefix_caching ? "true" : "false"));
    Append(options.scheduler, scheduler.argv);
    Append(traces, scheduler.argv);
    runner.commands.push_back(std::move(scheduler));

    MemberCommand worker = common("weft-worker", ports->worker_admin[i]);
    worker.argv.push_back(absl::StrCat("--model=", options.models[i]));
    worker.argv.push_back(absl::StrCat("--scheduler=", address));
    worker.argv.push_back(absl::StrCat("--served-model-name=", runner.groups.back()));
    worker.argv.push_back(
        absl::StrCat("--enforce-eager=", options.enforce_eager ? "true" : "false"));
    Append(PartOf(options.worker, num_models), worker.argv);
    runner.commands.push_back(std::move(worker));

    gateway.argv.push_back(absl::StrCat("--model=", options.models[i]));
    gateway.argv.push_back(absl::StrCat("--served-model-name=", names[i]));
    gateway.argv.push_back(absl::StrCat("--scheduler=", address));
  }
  for (const std::string& word :
       {absl::StrCat("--host=", options.host), absl::StrCat("--port=", ports->http),
        absl::StrCat("--grpc-port=", ports->grpc),
        absl::StrCat("--playground=", options.playground ? "true" : "false"),
        absl::StrCat("--force-thinking=", options.force_thinking ? "true" : "false"),
        absl::StrCat("--drain-timeout=", options.drain_timeout),
        absl::StrCat("--trace-ratio=", options.trace.ratio)}) {
    gateway.argv.push_back(word);
  }
  Append(options.gateway, gateway.argv);
  Append(traces, gateway.argv);
  // Not for the list of processes. Empty where none is given: what the environment holds is
  // this command's to read, and has been.
  if (!options.api_keys.empty()) {
    gateway.environment.push_back(
        absl::StrCat("WEFT_API_KEY=", absl::StrJoin(options.api_keys, ",")));
  }
  runner.commands.push_back(std::move(gateway));
  return runner;
}

}  // namespace weft::cli
