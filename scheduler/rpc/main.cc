// weft-scheduler: decides what runs where, for one group of workers.
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/admin_server.h"
#include "common/flags.h"
#include "common/host_port.h"
#include "common/log.h"
#include "common/probe.h"
#include "common/process_name.h"
#include "common/shutdown.h"
#include "common/tracer.h"
#include "scheduler/election/file_lock.h"
#include "scheduler/election/kube_lease.h"
#include "scheduler/rpc/sequence_spans.h"
#include "scheduler/rpc/server.h"

namespace weft::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// One that stands by leads within half a second; one that has yet to start takes some more.
constexpr seconds kSuccessorPatience{10};
constexpr milliseconds kSuccessorLook{50};

struct Options {
  std::string host = "127.0.0.1";
  int port = 7000;
  PeerTls peers;
  std::string peer_gateway_name;
  std::string peer_worker_name;
  std::string served_model_name;
  std::string election = "none";
  std::string kube_api;
  std::string kube_account = KubeLeaseOptions{}.account_folder;
  std::string advertise;
  std::string admin_host = "127.0.0.1";
  int admin_port = 7001;
  int max_waiting = core::Config{}.max_waiting_sequences;
  int64_t max_waiting_tokens = core::Config{}.max_waiting_tokens;
  int max_tenant_requests = 0;
  bool enable_prefix_caching = true;
  std::string scheduling_policy = "priority";
  int long_prefill_token_threshold = 0;
  double max_mixed_step_ms = core::Config{}.max_mixed_step * 1e-3;
  double no_worker_timeout = 60;
  TraceOptions trace;
  LogOptions log;
};

void AddFlags(Flags& flags, Options& options) {
  flags.Add("--host", options.host, "Address that gateways and workers dial");
  flags.Add("--port", options.port, "Their port; 0 takes a free one", 0, 65535);
  AddPeerTlsFlags(flags, options.peers, /*dials=*/false);
  flags.Add("--peer-gateway-name", options.peer_gateway_name,
            "Name (a DNS or URI SAN) that a gateway's certificate must have (default: any)");
  flags.Add("--peer-worker-name", options.peer_worker_name,
            "Name that a worker's certificate must have (default: any)");
  flags.Add("--served-model-name", options.served_model_name,
            "The model's first name at the gateways: a label of all metrics");
  flags.Add("--election", options.election,
            "How several schedulers of one group agree who leads: none (there is one), file:PATH "
            "(who holds the lock on that file) or lease:[NAMESPACE/]NAME (who holds that Lease in "
            "Kubernetes). The others stand by");
  flags.Add(
      "--kube-api", options.kube_api,
      "URL of the API server that has the lease (default: the cluster's that this pod is in)");
  flags.Add("--kube-account", options.kube_account,
            "Folder with the account's token, ca.crt and namespace");
  flags.Add(
      "--advertise", options.advertise,
      "host or host:port where peers are told to dial this one when it leads (default: --host "
      "and the port)");
  flags.Add("--admin-host", options.admin_host, "Address of the admin port");
  flags.Add("--admin-port", options.admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  flags.Add("--max-waiting", options.max_waiting,
            "Sequences that may wait; beyond that they are rejected", 1, 1 << 24);
  flags.Add("--max-waiting-tokens", options.max_waiting_tokens,
            "Prompt tokens that may wait; beyond that sequences are rejected", int64_t{1},
            int64_t{1} << 40);
  flags.Add("--max-tenant-requests", options.max_tenant_requests,
            "Sequences that one tenant may have open, waiting and running; beyond that they are "
            "rejected (429). 0: no limit",
            0, 1 << 24);
  flags.AddSwitch("--enable-prefix-caching", options.enable_prefix_caching,
                  "Prompts share the KV blocks of equal beginnings; =false ends that");
  flags.AddChoice("--scheduling-policy", options.scheduling_policy, {"priority", "fcfs"},
                  "priority: requests of a smaller priority go first; fcfs: theirs is ignored");
  flags.Add("--long-prefill-token-threshold", options.long_prefill_token_threshold,
            "Tokens of one prompt in one step; 0: no limit", 0, 1 << 24);
  flags.Add("--max-mixed-step-ms", options.max_mixed_step_ms,
            "Milliseconds that a step may take which computes prompts besides running answers; "
            "0: no limit. Smaller: answers flow more evenly, new ones start later",
            0.0, 1e6);
  flags.Add("--no-worker-timeout", options.no_worker_timeout,
            "Seconds that sequences wait while no worker is attached, before they fail", 0.0,
            86400.0);
  AddTraceFlags(flags, options.trace, /*begins_traces=*/false);
  AddLogFlags(flags, options.log);
}

ServerOptions ForServer(const Options& options, Tracer& tracer) {
  ServerOptions server;
  server.address = JoinHostPort(options.host, options.port);
  server.tls = options.peers;
  server.gateway_name = options.peer_gateway_name;
  server.worker_name = options.peer_worker_name;
  server.loop.no_worker_patience = static_cast<core::Micros>(options.no_worker_timeout * 1e6);
  server.loop.core.max_waiting_sequences = options.max_waiting;
  server.loop.core.max_waiting_tokens = options.max_waiting_tokens;
  server.loop.core.max_tenant_sequences = options.max_tenant_requests;
  server.loop.core.enable_prefix_cache = options.enable_prefix_caching;
  server.loop.core.policy = options.scheduling_policy == "fcfs" ? core::SchedulingPolicy::kFcfs
                                                                : core::SchedulingPolicy::kPriority;
  server.loop.core.long_prefill_token_threshold = options.long_prefill_token_threshold;
  server.loop.core.max_mixed_step = static_cast<core::Micros>(options.max_mixed_step_ms * 1e3);
  server.loop.on_traced_end = [&tracer](const core::Finished& finished, core::Micros now) {
    RecordSpans(tracer, finished, now);
  };
  std::random_device random;
  for (uint64_t& key : server.loop.core.hash_key) key = uint64_t{random()} << 32 | random();
  return server;
}

absl::Status CheckPeerOptions(const Options& options) {
  const bool asks_for_names =
      !options.peer_gateway_name.empty() || !options.peer_worker_name.empty();
  if (asks_for_names && options.peers.files.empty()) {
    return absl::InvalidArgumentError(
        "--peer-gateway-name and --peer-worker-name are names in certificates: they take "
        "--peer-tls-cert, --peer-tls-key and --peer-tls-ca");
  }
  return CheckPeerTls(options.peers, "--host", JoinHostPort(options.host, options.port));
}

// Null: nobody to agree with.
absl::StatusOr<std::unique_ptr<Election>> MakeElection(const Options& options, int port) {
  if (options.election == "none") return nullptr;
  const std::string address =
      WithPort(options.advertise.empty() ? options.host : options.advertise, port);
  absl::string_view rest = options.election;
  if (absl::ConsumePrefix(&rest, "file:") && !rest.empty()) {
    return std::make_unique<FileLockElection>(std::string(rest), address);
  }
  if (absl::ConsumePrefix(&rest, "lease:") && !rest.empty()) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(rest, absl::MaxSplits('/', 1));
    const bool has_namespace = !parts.second.empty();
    auto store = MakeKubeLeaseStore({.api_url = options.kube_api,
                                     .name_space = has_namespace ? parts.first : "",
                                     .name = has_namespace ? parts.second : parts.first,
                                     .account_folder = options.kube_account});
    if (!store.ok()) return store.status();
    return std::make_unique<LeaseElection>(*std::move(store), UniqueProcessName(), address);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--election ", options.election,
                   " is neither none, nor file:PATH, nor lease:[NAMESPACE/]NAME"));
}

// Leads as soon as the election is won. Who loses the lead ends at once, streams and all:
// another may lead already.
void TakePart(Election& election, Server& server) {
  spdlog::info("standing by");
  const auto term = election.Win();
  if (!term.ok()) {
    if (term.status().code() == absl::StatusCode::kCancelled) return;
    spdlog::error("{}", std::string(term.status().message()));
    std::_Exit(1);
  }
  server.Lead(*term);
  spdlog::info("leads, term {}", *term);
  if (absl::Status lost = election.AwaitLoss(); !lost.ok()) {
    spdlog::error("leads no more: {}", std::string(lost.message()));
    std::_Exit(1);
  }
}

// A leader that is told to end gives the lead up first, and goes on until the next one leads:
// what is open then pauses no longer than it takes to go there. Where nobody comes it ends as if
// there were no election, but what is left still goes to one that comes late.
void HandOver(Election& election, Server& server) {
  election.Release();
  spdlog::info("the lead is free; going on until another leads");
  const auto patience_ends = steady_clock::now() + kSuccessorPatience;
  bool is_draining = false;
  while (!is_draining || !server.IsDrained()) {
    if (const std::string next = election.Successor(); !next.empty()) return server.HandOver(next);
    if (!is_draining && (server.num_gateways() == 0 || steady_clock::now() > patience_ends)) {
      server.BeginDrain();
      is_draining = true;
    }
    std::this_thread::sleep_for(kSuccessorLook);
  }
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "probe") {
    return ProbeMain("weft-scheduler", Options{}.admin_port, argc - 1, argv + 1);
  }
  ShutdownSignal shutdown;
  Options options;
  Flags flags("weft-scheduler",
              "Queues, batches and places sequences on the workers of one model. Gateways and "
              "workers dial it.");
  AddFlags(flags, options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  InitLog("scheduler", options.log);

  if (auto s = CheckPeerOptions(options); !s.ok()) {
    spdlog::error("{}", std::string(s.message()));
    return 2;
  }
  Metrics metrics("scheduler", options.served_model_name);
  SchedulerMetrics scheduler_metrics(metrics);
  const auto tracer = Tracer::Start(options.trace, "weft-scheduler", metrics);
  if (!tracer.ok()) {
    spdlog::error("{}", std::string(tracer.status().message()));
    return 2;
  }
  std::unique_ptr<Election> election;  // made once the port is known
  std::atomic<Election*> who_leads{nullptr};
  auto server = Server::Start(ForServer(options, **tracer), scheduler_metrics, [&] {
    const Election* known = who_leads;
    return known == nullptr ? std::string() : known->leader();
  });
  if (!server.ok()) {
    spdlog::error("{}", std::string(server.status().message()));
    return 1;
  }
  auto made = MakeElection(options, (*server)->port());
  if (!made.ok()) {
    spdlog::error("{}", std::string(made.status().message()));
    return 2;
  }
  election = *std::move(made);
  who_leads = election.get();
  auto admin = AdminServer::Start(options.admin_host, options.admin_port, metrics,
                                  {.ready =
                                       [&] {
                                         return ShutdownSignal::IsDraining()
                                                    ? absl::UnavailableError("draining")
                                                    : (*server)->Ready();
                                       },
                                   .drain = [] { ShutdownSignal::Request(); },
                                   .debug_state = [&] { return (*server)->DebugState(); }});
  if (!admin.ok()) {
    spdlog::error("{}", std::string(admin.status().message()));
    return 1;
  }
  // First: who reads that it listens may dial at once.
  if (election == nullptr) (*server)->Lead(TermOfNow());
  spdlog::info("listening on {}:{}, admin port {}", options.host, (*server)->port(),
               (*admin)->port());
  std::thread candidate;
  if (election != nullptr) candidate = std::thread([&] { TakePart(*election, **server); });
  shutdown.Wait();
  if (election != nullptr) {
    election->Stop();
    candidate.join();
    if ((*server)->leads()) HandOver(*election, **server);
  }
  (*server)->Drain();
  spdlog::info("drained");
  return 0;
}

}  // namespace
}  // namespace weft::scheduler

int main(int argc, char** argv) { return weft::scheduler::Main(argc, argv); }
