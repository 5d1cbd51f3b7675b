// weft-gateway: what clients talk to. HTTP with the OpenAI API, and gRPC.
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/admin_server.h"
#include "common/descriptor_limit.h"
#include "common/flags.h"
#include "common/log.h"
#include "common/probe.h"
#include "common/process_name.h"
#include "common/shutdown.h"
#include "common/tracer.h"
#include "gateway/auth/access.h"
#include "gateway/auth/guarded_service.h"
#include "gateway/http/server.h"
#include "gateway/inference/grpc_server.h"
#include "gateway/inference/model_router.h"
#include "gateway/inference/model_service.h"
#include "gateway/openai/api.h"
#include "gateway/readiness.h"

namespace weft::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Options {
  // Of each group, in one order.
  std::vector<std::string> models;
  std::vector<std::string> served_model_names;  // each "a,b"; none: the directories'
  std::vector<std::string> schedulers = {"127.0.0.1:7000"};
  PeerTls peers;
  http::HttpOptions http;
  GrpcOptions grpc;
  auth::AccessOptions access;
  std::vector<std::string> cors_origins = {"*"};
  std::string tenant_header;
  bool playground = true;
  std::string admin_host = "127.0.0.1";
  int admin_port = 8002;
  bool force_thinking = false;
  int max_n = ModelServiceOptions().max_n;
  int tokenizer_threads = ModelServiceOptions().num_threads;
  double request_timeout = 3600;
  double recovery_timeout = 30;
  double drain_delay = 0;
  double drain_timeout = 60;
  TraceOptions trace;
  LogOptions log;
};

void AddFlags(Flags& flags, Options& options) {
  flags
      .Add(
          "--model", options.models,
          "Model directory: tokenizer, chat template, defaults. Several models are given as often, "
          "and with each of the next two")
      ->required()
      ->allow_extra_args(false);
  flags
      .Add("--served-model-name", options.served_model_names,
           "Names that requests may use, apart by commas; by default the directory's")
      ->allow_extra_args(false);
  flags
      .Add("--scheduler", options.schedulers,
           "The host:port of the model's scheduler; where several may lead, all of them, apart by "
           "commas")
      ->allow_extra_args(false);
  AddPeerTlsFlags(flags, options.peers, /*dials=*/true);
  http::AddHttpFlags(flags, options.http);
  flags.Add("--grpc-port", options.grpc.port,
            "Port of weft.v1.InferenceService, on --host; 0 takes a free one", 0, 65535);
  auth::AddAccessFlags(flags, options.access);
  openai::AddCorsFlags(flags, options.cors_origins);
  flags.Add(
      "--tenant-header", options.tenant_header,
      "Header (gRPC: metadata) that names a request's tenant, as a proxy in front sets it; "
      "tenants share the queue evenly and no prefixes. A tenant that the API key has goes before. "
      "By default all are one tenant");
  flags.AddSwitch("--playground", options.playground,
                  "A page at / on which to talk to the model; =false ends that");
  flags.Add("--admin-host", options.admin_host, "Address of the admin port");
  flags.Add("--admin-port", options.admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  flags.AddSwitch(
      "--force-thinking", options.force_thinking,
      "Every chat answer begins inside <think>, also where the model's template does not "
      "open it; a reasoning_effort of none still skips it");
  flags.Add("--max-n", options.max_n, "Choices that one request may ask for", 1, 128);
  flags.Add("--tokenizer-threads", options.tokenizer_threads,
            "Threads that render and tokenize prompts", 2, 64);
  flags.Add("--request-timeout", options.request_timeout,
            "Seconds that a request may take if it says nothing itself", 0.001, 1e6);
  flags.Add("--recovery-timeout", options.recovery_timeout,
            "Seconds that open streams wait for a lost scheduler", 0.0, 1e6);
  flags.Add("--drain-delay", options.drain_delay,
            "Seconds after SIGTERM in which requests are still taken while the gateway already "
            "says that it is not ready: what a load balancer needs to notice",
            0.0, 1e6);
  flags.Add("--drain-timeout", options.drain_timeout, "Seconds that streams may go on after that",
            0.0, 1e6);
  AddTraceFlags(flags, options.trace, /*begins_traces=*/true);
  AddLogFlags(flags, options.log);
}

milliseconds Seconds(double seconds) { return milliseconds(static_cast<int64_t>(seconds * 1e3)); }

int Fail(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  return 1;
}

absl::Status CheckGroups(const Options& options) {
  const size_t num_models = options.models.size();
  const auto fits = [&](const char* flag, size_t count) {
    if (count == num_models) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " is given ", count, " times and --model ", num_models,
                     " times: it belongs to each model, in the same order"));
  };
  if (auto s = fits("--scheduler", options.schedulers.size()); !s.ok()) return s;
  for (const std::string& addresses : options.schedulers) {
    if (auto s = CheckPeerTls(options.peers, "--scheduler", addresses); !s.ok()) return s;
  }
  if (options.served_model_names.empty()) return absl::OkStatus();
  return fits("--served-model-name", options.served_model_names.size());
}

// What the gateway has of its groups; services end before what they use.
struct Groups {
  std::vector<std::unique_ptr<GatewayMetrics>> metrics;
  std::vector<std::unique_ptr<Upstream>> upstreams;
  std::vector<std::unique_ptr<ModelService>> services;
  std::string names;  // the first of each
};

absl::StatusOr<Groups> StartGroups(const Options& options, Metrics& metrics, Tracer& tracer) {
  Groups groups;
  const std::string gateway_id = UniqueProcessName();
  std::vector<std::string> first_names;
  for (size_t i = 0; i < options.models.size(); ++i) {
    std::vector<std::string> names;
    if (!options.served_model_names.empty()) {
      names = absl::StrSplit(options.served_model_names[i], ',');
    }
    const auto model = LoadModel(
        options.models[i], {.names = std::move(names), .force_thinking = options.force_thinking});
    if (!model.ok()) return model.status();
    spdlog::info("model {}: {} tokens in the vocabulary{}", absl::StrJoin((*model)->names, ", "),
                 (*model)->tokenizer->vocab_size(),
                 (*model)->chat_template ? "" : ", no chat template: completions only");
    first_names.push_back((*model)->names.front());
    groups.metrics.push_back(std::make_unique<GatewayMetrics>(metrics, first_names.back()));
    groups.upstreams.push_back(std::make_unique<Upstream>(
        UpstreamOptions{.address = options.schedulers[i],
                        .tls = options.peers,
                        .model = first_names.back(),
                        .session = {.gateway_id = gateway_id,
                                    .recovery_wait = Seconds(options.recovery_timeout)}},
        metrics));
    groups.services.push_back(std::make_unique<ModelService>(
        *model,
        ModelServiceOptions{.max_n = options.max_n,
                            .default_timeout = Seconds(options.request_timeout),
                            .num_threads = options.tokenizer_threads,
                            .tracer = &tracer},
        *groups.upstreams.back(), *groups.metrics.back()));
  }
  groups.names = absl::StrJoin(first_names, ", ");
  return groups;
}

// After the delay streams run to their end, at most until the timeout; new requests are refused.
void Drain(const Options& options, ModelRouter& service, http::HttpServer& http, GrpcServer& grpc) {
  spdlog::info("draining");
  service.AnnounceDrain();
  std::this_thread::sleep_for(Seconds(options.drain_delay));
  const auto deadline = steady_clock::now() + Seconds(options.drain_timeout);
  service.Drain();
  http.Drain();
  std::thread grpc_drain([&] { grpc.Shutdown(Seconds(options.drain_timeout)); });
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
  const bool idle = http.WaitIdle(absl::Milliseconds(left));
  grpc_drain.join();
  if (idle) {
    spdlog::info("drained");
  } else {
    spdlog::warn("drain timeout: {} connections are cut", http.num_connections());
  }
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "probe") {
    return ProbeMain("weft-gateway", Options{}.admin_port, argc - 1, argv + 1);
  }
  ShutdownSignal shutdown;
  Options options;
  Flags flags("weft-gateway",
              "Serves the OpenAI API over HTTP, and weft.v1.InferenceService over gRPC, for the "
              "workers behind one scheduler, or several: one for each model.");
  AddFlags(flags, options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  InitLog("gateway", options.log);
  RaiseDescriptorLimit();

  if (auto s = CheckGroups(options); !s.ok()) return Fail(s);
  const auto cors = openai::Cors::Parse(options.cors_origins);
  if (!cors.ok()) return Fail(cors.status());
  Metrics metrics("gateway");
  const auto access = auth::Access::Start(options.access, metrics);
  if (!access.ok()) return Fail(access.status());
  const auth::Access* asks_for_keys = (*access)->is_open() ? nullptr : access->get();
  const auto tracer = Tracer::Start(options.trace, "weft-gateway", metrics);
  if (!tracer.ok()) return Fail(tracer.status());
  auto groups = StartGroups(options, metrics, **tracer);
  if (!groups.ok()) return Fail(groups.status());
  const std::string names = groups->names;
  ModelRouter router(std::move(groups->services), metrics);
  auth::GuardedService service(router, /*requires_permit=*/!(*access)->is_open());
  options.tenant_header = absl::AsciiStrToLower(options.tenant_header);
  openai::Api api(service, {.tenant_header = options.tenant_header,
                            .access = asks_for_keys,
                            .cors = *cors,
                            .has_playground = options.playground});
  openai::ConfigureHttp(options.http, *cors);
  options.http.tracer = tracer->get();
  auto http = http::HttpServer::Start(options.http, metrics, api.handler());
  if (!http.ok()) return Fail(http.status());
  options.grpc.host = options.http.host;
  options.grpc.tenant_header = options.tenant_header;
  options.grpc.access = asks_for_keys;
  options.grpc.tls = options.http.tls;
  options.grpc.tracer = tracer->get();
  auto grpc = GrpcServer::Start(options.grpc, service);
  if (!grpc.ok()) return Fail(grpc.status());
  auto admin = AdminServer::Start(
      options.admin_host, options.admin_port, metrics,
      {.ready = [&] { return service.Ready(); }, .drain = [] { ShutdownSignal::Request(); }});
  if (!admin.ok()) return Fail(admin.status());

  const std::string& host = options.http.host;
  const std::string shown = host == "0.0.0.0" || host == "::" ? "localhost" : host;
  spdlog::info("listening on {}: HTTP {}, gRPC {}, admin {}", host, (*http)->port(),
               (*grpc)->port(), (*admin)->port());
  ReadinessWatcher watcher([&] { return service.Ready(); },
                           [&](const absl::Status& status) {
                             (*grpc)->SetServing(status.ok());
                             if (status.ok()) {
                               spdlog::info("ready: {} at {}://{}:{}/v1", names,
                                            options.http.tls.empty() ? "http" : "https", shown,
                                            (*http)->port());
                             } else if (!ShutdownSignal::IsDraining()) {
                               spdlog::warn("not ready: {}", std::string(status.message()));
                             }
                           });
  shutdown.Wait();
  Drain(options, router, **http, **grpc);
  return 0;
}

}  // namespace
}  // namespace weft::gateway

int main(int argc, char** argv) { return weft::gateway::Main(argc, argv); }
