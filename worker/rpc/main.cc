// weft-worker: one device running one model for a scheduler. `weft-worker bench` times
// its steps instead.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "common/admin_server.h"
#include "common/flags.h"
#include "common/log.h"
#include "common/probe.h"
#include "common/shutdown.h"
#include "worker/bench/bench.h"
#include "worker/rpc/load.h"
#include "worker/rpc/worker.h"

namespace weft::worker {
namespace {

struct Options {
  std::string scheduler = "127.0.0.1:7000";
  PeerTls peers;
  std::string served_model_name;
  std::string admin_host = "127.0.0.1";
  int admin_port = 7002;
  LoadOptions load;
  LogOptions log;
};

void AddFlags(Flags& flags, Options& options) {
  AddLoadFlags(flags, options.load);
  flags.Add(
      "--scheduler", options.scheduler,
      "host:port of the scheduler to attach to; where several may lead, all of them, separated by "
      "commas");
  AddPeerTlsFlags(flags, options.peers, /*dials=*/true);
  flags.Add("--served-model-name", options.served_model_name,
            "The model's first name at the gateways: a label of all metrics (default: the "
            "folder's)");
  flags.Add("--admin-host", options.admin_host, "Address of the admin port");
  flags.Add("--admin-port", options.admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  AddLogFlags(flags, options.log);
}

// Loads and serves on a thread of its own, so that signals and the admin port are
// answered from the first moment.
class Process {
 public:
  Process(const Options& options, Metrics& metrics)
      : options_(options), metrics_(metrics), worker_metrics_(metrics) {}

  void Start() {
    thread_ = std::thread([this] {
      exit_code_ = Serve();
      ShutdownSignal::Request();
    });
  }

  absl::Status Ready() const {
    const Worker* worker = worker_;
    return worker != nullptr ? worker->Ready() : absl::UnavailableError("loading");
  }

  // Behind the signal, or the end of the thread.
  int Stop() {
    Worker* worker = worker_;
    if (worker == nullptr && exit_code_ == kRunning) {
      spdlog::info("stopped while loading");
      std::fflush(nullptr);
      _exit(0);  // what has been loaded has no other user
    }
    if (worker != nullptr) worker->Stop();
    thread_.join();
    return exit_code_;
  }

 private:
  static constexpr int kRunning = -1;

  int Serve() {
    auto backend = LoadBackend(options_.load, metrics_);
    if (!backend.ok()) {
      spdlog::error("{}", std::string(backend.status().message()));
      return 1;
    }
    backend_ = *std::move(backend);
    spdlog::info("ready: {}", ModelName(options_.load));
    owned_worker_ =
        std::make_unique<Worker>(*backend_, worker_metrics_, options_.scheduler, options_.peers);
    worker_ = owned_worker_.get();
    if (absl::Status served = owned_worker_->Run(); !served.ok()) {
      spdlog::error("{}", std::string(served.message()));
      return 1;
    }
    return 0;
  }

  const Options& options_;
  Metrics& metrics_;
  WorkerMetrics worker_metrics_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Worker> owned_worker_;
  std::atomic<Worker*> worker_{nullptr};
  std::atomic<int> exit_code_{kRunning};
  std::thread thread_;
};

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "probe") {
    return ProbeMain("weft-worker", Options{}.admin_port, argc - 1, argv + 1);
  }
  if (argc > 1 && std::string_view(argv[1]) == "bench") return BenchMain(argc - 1, argv + 1);
  ShutdownSignal shutdown;
  Options options;
  Flags flags("weft-worker", "Runs a model on one device, for a scheduler that it dials.");
  AddFlags(flags, options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  InitLog("worker", options.log);
  if (auto s = CheckPeerTls(options.peers, "--scheduler", options.scheduler); !s.ok()) {
    spdlog::error("{}", std::string(s.message()));
    return 2;
  }

  Metrics metrics("worker", options.served_model_name.empty() ? ModelName(options.load)
                                                              : options.served_model_name);
  Process process(options, metrics);
  auto admin = AdminServer::Start(
      options.admin_host, options.admin_port, metrics,
      {.ready = [&] { return process.Ready(); }, .drain = [] { ShutdownSignal::Request(); }});
  if (!admin.ok()) {
    spdlog::error("{}", std::string(admin.status().message()));
    return 1;
  }
  spdlog::info("admin port {}", (*admin)->port());
  process.Start();
  shutdown.Wait();
  const int exit_code = process.Stop();
  if (exit_code == 0) spdlog::info("drained");
  return exit_code;
}

}  // namespace
}  // namespace weft::worker

int main(int argc, char** argv) { return weft::worker::Main(argc, argv); }
