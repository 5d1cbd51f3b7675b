// weft-gateway: what clients talk to. HTTP with the OpenAI API, and gRPC.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/admin_server.h"
#include "common/flags.h"
#include "common/log.h"
#include "common/shutdown.h"
#include "gateway/http/server.h"
#include "gateway/inference/grpc_server.h"
#include "gateway/inference/model_service.h"
#include "gateway/openai/api.h"
#include "gateway/readiness.h"

namespace weft::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Options {
  std::string model;
  std::vector<std::string> served_model_names;
  std::string scheduler = "127.0.0.1:7000";
  http::HttpOptions http;
  GrpcOptions grpc;
  std::string admin_host = "127.0.0.1";
  int admin_port = 8002;
  int max_n = ModelServiceOptions().max_n;
  int tokenizer_threads = ModelServiceOptions().num_threads;
  double request_timeout = 3600;
  double recovery_timeout = 30;
  double drain_timeout = 60;
  LogOptions log;
};

void AddFlags(Flags& flags, Options& options) {
  flags.Add("--model", options.model, "Model directory: tokenizer, chat template, defaults")
      ->required();
  flags
      .Add("--served-model-name", options.served_model_names,
           "Names that requests may use, apart by commas; by default the directory's")
      ->delimiter(',')
      ->allow_extra_args(false);
  flags.Add("--scheduler", options.scheduler,
            "The scheduler's host:port; where several may lead, all of them, separated by commas");
  http::AddHttpFlags(flags, options.http);
  flags.Add("--grpc-port", options.grpc.port,
            "Port of weft.v1.InferenceService, on --host; 0 takes a free one", 0, 65535);
  flags.Add("--admin-host", options.admin_host, "Address of the admin port");
  flags.Add("--admin-port", options.admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  flags.Add("--max-n", options.max_n, "Choices that one request may ask for", 1, 128);
  flags.Add("--tokenizer-threads", options.tokenizer_threads,
            "Threads that render and tokenize prompts", 2, 64);
  flags.Add("--request-timeout", options.request_timeout,
            "Seconds that a request may take if it says nothing itself", 0.001, 1e6);
  flags.Add("--recovery-timeout", options.recovery_timeout,
            "Seconds that open streams wait for a lost scheduler", 0.0, 1e6);
  flags.Add("--drain-timeout", options.drain_timeout,
            "Seconds that streams may go on after SIGTERM", 0.0, 1e6);
  AddLogFlags(flags, options.log);
}

milliseconds Seconds(double seconds) { return milliseconds(static_cast<int64_t>(seconds * 1e3)); }

// Tells this process's sessions from those of any other, before it or beside it.
std::string GatewayId() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return absl::StrFormat("%s-%d-%08x", host, getpid(), std::random_device()());
}

int Fail(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  return 1;
}

// Streams run to their end, at most until the timeout; new requests are refused.
void Drain(const Options& options, ModelService& service, http::HttpServer& http,
           GrpcServer& grpc) {
  const auto deadline = steady_clock::now() + Seconds(options.drain_timeout);
  spdlog::info("draining");
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
  ShutdownSignal shutdown;
  Options options;
  Flags flags("weft-gateway",
              "Serves the OpenAI API over HTTP, and weft.v1.InferenceService over gRPC, for the "
              "workers behind one scheduler.");
  AddFlags(flags, options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  InitLog("gateway", options.log);

  auto model = LoadModel(options.model, options.served_model_names);
  if (!model.ok()) return Fail(model.status());
  spdlog::info("model {}: {} tokens in the vocabulary{}", absl::StrJoin((*model)->names, ", "),
               (*model)->tokenizer->vocab_size(),
               (*model)->chat_template ? "" : ", no chat template: completions only");

  Metrics metrics("gateway");
  GatewayMetrics gateway_metrics(metrics);
  Upstream upstream(
      {.address = options.scheduler,
       .session = {.gateway_id = GatewayId(), .recovery_wait = Seconds(options.recovery_timeout)}},
      metrics);
  ModelService service(*model,
                       {.max_n = options.max_n,
                        .default_timeout = Seconds(options.request_timeout),
                        .num_threads = options.tokenizer_threads},
                       upstream, gateway_metrics);
  openai::Api api(service);
  openai::ConfigureHttp(options.http);
  auto http = http::HttpServer::Start(options.http, metrics, api.handler());
  if (!http.ok()) return Fail(http.status());
  options.grpc.host = options.http.host;
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
                               spdlog::info("ready: {} at http://{}:{}/v1", (*model)->names.front(),
                                            shown, (*http)->port());
                             } else if (!ShutdownSignal::IsDraining()) {
                               spdlog::warn("not ready: {}", std::string(status.message()));
                             }
                           });
  shutdown.Wait();
  Drain(options, service, **http, **grpc);
  return 0;
}

}  // namespace
}  // namespace weft::gateway

int main(int argc, char** argv) { return weft::gateway::Main(argc, argv); }
