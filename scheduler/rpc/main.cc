// weft-scheduler: decides what runs where, for one group of workers.
#include <spdlog/spdlog.h>

#include <chrono>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/admin_server.h"
#include "common/flags.h"
#include "common/log.h"
#include "common/shutdown.h"
#include "scheduler/rpc/server.h"

namespace weft::scheduler {
namespace {

struct Options {
  std::string host = "127.0.0.1";
  int port = 7000;
  std::string admin_host = "127.0.0.1";
  int admin_port = 7001;
  int max_waiting = core::Config{}.max_waiting_sequences;
  int64_t max_waiting_tokens = core::Config{}.max_waiting_tokens;
  bool enable_prefix_caching = true;
  double max_mixed_step_ms = core::Config{}.max_mixed_step * 1e-3;
  double no_worker_timeout = 60;
  LogOptions log;
};

void AddFlags(Flags& flags, Options& options) {
  flags.Add("--host", options.host, "Address that gateways and workers dial");
  flags.Add("--port", options.port, "Their port; 0 takes a free one", 0, 65535);
  flags.Add("--admin-host", options.admin_host, "Address of the admin port");
  flags.Add("--admin-port", options.admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  flags.Add("--max-waiting", options.max_waiting,
            "Sequences that may wait; beyond that they are rejected", 1, 1 << 24);
  flags.Add("--max-waiting-tokens", options.max_waiting_tokens,
            "Prompt tokens that may wait; beyond that sequences are rejected", int64_t{1},
            int64_t{1} << 40);
  flags.AddSwitch("--enable-prefix-caching", options.enable_prefix_caching,
                  "Prompts share the KV blocks of equal beginnings; =false ends that");
  flags.Add("--max-mixed-step-ms", options.max_mixed_step_ms,
            "Milliseconds that a step may take which computes prompts besides running answers; "
            "0: no limit. Smaller: answers flow more evenly, new ones start later",
            0.0, 1e6);
  flags.Add("--no-worker-timeout", options.no_worker_timeout,
            "Seconds that sequences wait while no worker is attached, before they fail", 0.0,
            86400.0);
  AddLogFlags(flags, options.log);
}

// The term: microseconds of the wall clock at start, so that of two schedulers
// the later one has the higher, without anything kept on disk.
uint64_t NewEpoch() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

ServerOptions ForServer(const Options& options) {
  ServerOptions server;
  server.address = absl::StrCat(options.host, ":", options.port);
  server.loop.epoch = NewEpoch();
  server.loop.no_worker_patience = static_cast<core::Micros>(options.no_worker_timeout * 1e6);
  server.loop.core.max_waiting_sequences = options.max_waiting;
  server.loop.core.max_waiting_tokens = options.max_waiting_tokens;
  server.loop.core.enable_prefix_cache = options.enable_prefix_caching;
  server.loop.core.max_mixed_step = static_cast<core::Micros>(options.max_mixed_step_ms * 1e3);
  std::random_device random;
  for (uint64_t& key : server.loop.core.hash_key) key = uint64_t{random()} << 32 | random();
  return server;
}

int Main(int argc, char** argv) {
  ShutdownSignal shutdown;
  Options options;
  Flags flags("weft-scheduler",
              "Queues, batches and places sequences on the workers of one model. Gateways and "
              "workers dial it.");
  AddFlags(flags, options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  InitLog("scheduler", options.log);

  Metrics metrics("scheduler");
  SchedulerMetrics scheduler_metrics(metrics);
  auto server = Server::Start(ForServer(options), scheduler_metrics);
  if (!server.ok()) {
    spdlog::error("{}", std::string(server.status().message()));
    return 1;
  }
  auto admin = AdminServer::Start(
      options.admin_host, options.admin_port, metrics,
      {.ready = [&] { return (*server)->Ready(); }, .drain = [] { ShutdownSignal::Request(); }});
  if (!admin.ok()) {
    spdlog::error("{}", std::string(admin.status().message()));
    return 1;
  }
  spdlog::info("listening on {}:{}, admin port {}", options.host, (*server)->port(),
               (*admin)->port());
  shutdown.Wait();
  (*server)->Drain();
  spdlog::info("drained");
  return 0;
}

}  // namespace
}  // namespace weft::scheduler

int main(int argc, char** argv) { return weft::scheduler::Main(argc, argv); }
