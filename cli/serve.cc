#include "cli/serve.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/ports.h"
#include "common/flags.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using Values = std::map<std::string, std::string>;

// A flag that a tier judges and explains; here only its form is checked.
CLI::Option* HandOn(Flags& flags, Values& values, const std::string& name,
                    const std::string& help) {
  return flags.Add(name, values[name], help);
}

void HandOnChoice(Flags& flags, Values& values, const std::string& name,
                  std::vector<std::string> choices, const std::string& help) {
  flags.AddChoice(name, values[name], std::move(choices), help);
}

void Append(const Values& values, std::vector<std::string>& argv) {
  for (const auto& [name, value] : values) {
    if (!value.empty()) argv.push_back(absl::StrCat(name, "=", value));
  }
}

// "models/demo/" -> "demo"
std::string FolderName(const std::string& model) {
  std::error_code error;
  return fs::canonical(model, error).filename().string();
}

std::string Greeting(const ServeOptions& options) {
  const bool is_any = options.host == "0.0.0.0" || options.host == "::";
  std::string host = is_any ? "127.0.0.1" : options.host;
  if (host.find(':') != std::string::npos) host = absl::StrCat("[", host, "]");
  const std::string url = absl::StrCat("http://", host, ":", options.port);
  const std::string name = options.served_model_name.substr(0, options.served_model_name.find(','));
  return absl::StrFormat(
      "\n"
      "%s is served at %s/v1 (gRPC at %s:%d). Ctrl-C ends it.\n"
      "\n"
      "curl %s/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "  -d '{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + "
      "25?\"}]}'\n"
      "\n",
      name, url, host, options.grpc_port, url, name);
}

absl::StatusOr<std::string> OwnFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot read /proc/self/exe: " + error.message());
  return self.parent_path().string();
}

}  // namespace

void AddServeFlags(Flags& flags, ServeOptions& options) {
  flags
      .AddPositional("MODEL", options.model,
                     "Folder in Hugging Face format: config.json, tokenizer.json, *.safetensors")
      ->required();
  flags.Add("--served-model-name", options.served_model_name,
            "Names by which clients ask for the model, apart by commas (default: the folder's)");
  flags.Add("--host", options.host, "Address that clients reach");
  flags.Add("--port", options.port, "HTTP port; 0 takes a free one", 0, 65535);
  flags.Add("--grpc-port", options.grpc_port,
            "Port of weft.v1.InferenceService; 0 takes a free one", 0, 65535);

  Values& worker = options.worker;
  HandOnChoice(flags, worker, "--dtype", {"auto", "bfloat16", "float16", "float32"},
               "Weights and activations (default: auto, the checkpoint's)");
  HandOnChoice(flags, worker, "--kv-cache-dtype", {"auto", "fp8"},
               "KV cache (default: auto, as --dtype; fp8: half the memory, GPU only)");
  HandOnChoice(flags, worker, "--load-format", {"auto", "dummy"},
               "dummy: random weights in the shape of config.json (default: auto)");
  HandOnChoice(flags, worker, "--backend", {"auto", "cuda", "cpu", "simulated"},
               "Where the model runs (default: auto, a GPU if there is one); simulated: no model, "
               "tokens by a hash");
  flags.Add("--quantization", options.quantization, "Kind of quantized weights; none is built yet");
  flags.Add("--tensor-parallel-size", options.tensor_parallel_size,
            "GPUs that share one model; 1 is built");
  HandOn(flags, worker, "--gpu-memory-utilization",
         "Part of the available memory that weights and KV cache may take")
      ->check(CLI::Range(0.01, 1.0));
  HandOn(flags, worker, "--kv-cache-memory-bytes",
         "KV cache (default: what --gpu-memory-utilization leaves)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 50));
  HandOn(flags, worker, "--max-model-len",
         "Prompt and output of one request, in tokens (default: the model's)")
      ->check(CLI::Range(1, 1 << 24));
  HandOn(flags, worker, "--max-num-seqs", "Sequences in one step")->check(CLI::Range(1, 1 << 16));
  HandOn(flags, worker, "--max-num-batched-tokens", "Tokens in one step")
      ->check(CLI::Range(1, 1 << 24));
  flags.AddSwitch("--enforce-eager", options.enforce_eager,
                  "GPU: no captured steps; starts sooner, decodes slower");
  HandOn(flags, worker, "--num-threads", "CPU threads of the model (default: one per core)")
      ->check(CLI::Range(1, 1024));
  HandOnChoice(flags, worker, "--simulated-gpu", {"H200", "T4", "CPU"},
               "Whose step times --backend simulated has (default: H200)");
  HandOn(flags, worker, "--simulated-speed", "How many times as fast as that (default: 1)")
      ->check(CLI::Range(0.001, 1e9));
  HandOnChoice(flags, options.scheduler, "--scheduling-policy", {"priority", "fcfs"},
               "fcfs: the priority that a request names is ignored (default: priority)");
  HandOn(flags, options.scheduler, "--long-prefill-token-threshold",
         "Tokens of one prompt in one step; 0: no limit (default)")
      ->check(CLI::Range(0, 1 << 24));
  HandOn(flags, options.scheduler, "--max-mixed-step-ms",
         "Milliseconds that a step may take which computes prompts besides running answers; 0: "
         "no limit")
      ->check(CLI::Range(0.0, 1e6));
  flags.AddSwitch("--enable-prefix-caching", options.enable_prefix_caching,
                  "Prompts share the KV blocks of equal beginnings; =false ends that");

  flags.Add("--scheduler-port", options.scheduler_port, "Between the tiers; 0 takes a free one", 0,
            65535);
  flags.Add("--gateway-admin-port", options.gateway_admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  flags.Add("--scheduler-admin-port", options.scheduler_admin_port, "Likewise", 0, 65535);
  flags.Add("--worker-admin-port", options.worker_admin_port, "Likewise", 0, 65535);
  flags.Add("--drain-timeout", options.drain_timeout,
            "Seconds that open streams may take after Ctrl-C or SIGTERM", 0.0, 86400.0);
  AddLogFlags(flags, options.log);
}

absl::Status Validate(const ServeOptions& options) {
  std::error_code error;
  if (!fs::is_directory(options.model, error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "MODEL ", options.model,
        fs::exists(options.model, error) ? " is not a folder" : ": there is no such folder",
        "; it takes one with config.json, tokenizer.json and *.safetensors"));
  }
  for (const char* file : {"config.json", "tokenizer.json"}) {
    if (!fs::exists(fs::path(options.model) / file, error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("MODEL ", options.model, " has no ", file,
                       ": it is not a model folder in Hugging Face format"));
    }
  }
  if (!options.quantization.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--quantization ", options.quantization,
                     ": no kind of quantization is built; leave the flag out"));
  }
  if (options.tensor_parallel_size != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tensor-parallel-size ", options.tensor_parallel_size,
                     ": a model runs on one device; only 1 is built"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RunnerOptions> Commands(ServeOptions options, const std::string& bin) {
  std::vector<int*> open;
  for (int* port :
       {&options.port, &options.grpc_port, &options.scheduler_port, &options.gateway_admin_port,
        &options.scheduler_admin_port, &options.worker_admin_port}) {
    if (*port == 0) open.push_back(port);
  }
  absl::StatusOr<std::vector<int>> ports = FreePorts(static_cast<int>(open.size()));
  if (!ports.ok()) return ports.status();
  for (size_t i = 0; i < open.size(); ++i) *open[i] = (*ports)[i];
  if (options.served_model_name.empty()) options.served_model_name = FolderName(options.model);

  // Everything that a tier could also read from the environment, and that has
  // another meaning there, is said here.
  const std::string loopback = "127.0.0.1";
  const std::string scheduler = absl::StrCat(loopback, ":", options.scheduler_port);
  const auto common = [&](const char* binary, int admin_port) {
    return TierCommand{
        .argv = {absl::StrCat(bin, "/", binary), absl::StrCat("--admin-host=", loopback),
                 absl::StrCat("--admin-port=", admin_port),
                 absl::StrCat("--log-format=", options.log.format),
                 absl::StrCat("--log-level=", options.log.level)},
        .admin_port = admin_port};
  };
  const std::string drain = absl::StrCat("--drain-timeout=", options.drain_timeout);

  TierCommand scheduler_command = common("weft-scheduler", options.scheduler_admin_port);
  scheduler_command.argv.push_back(absl::StrCat("--host=", loopback));
  scheduler_command.argv.push_back(absl::StrCat("--port=", options.scheduler_port));
  scheduler_command.argv.push_back(
      absl::StrCat("--enable-prefix-caching=", options.enable_prefix_caching ? "true" : "false"));
  Append(options.scheduler, scheduler_command.argv);

  TierCommand worker_command = common("weft-worker", options.worker_admin_port);
  worker_command.argv.push_back(absl::StrCat("--model=", options.model));
  worker_command.argv.push_back(absl::StrCat("--scheduler=", scheduler));
  worker_command.argv.push_back(
      absl::StrCat("--enforce-eager=", options.enforce_eager ? "true" : "false"));
  Append(options.worker, worker_command.argv);

  TierCommand gateway_command = common("weft-gateway", options.gateway_admin_port);
  for (const std::string& word :
       {absl::StrCat("--model=", options.model),
        absl::StrCat("--served-model-name=", options.served_model_name),
        absl::StrCat("--scheduler=", scheduler), absl::StrCat("--host=", options.host),
        absl::StrCat("--port=", options.port), absl::StrCat("--grpc-port=", options.grpc_port),
        drain}) {
    gateway_command.argv.push_back(word);
  }

  return RunnerOptions{
      .commands = {std::move(scheduler_command), std::move(worker_command),
                   std::move(gateway_command)},
      .drain_timeout = Duration(static_cast<int64_t>(options.drain_timeout * 1000)),
      .greeting = Greeting(options)};
}

int Serve(int argc, const char* const* argv) {
  ServeOptions options;
  Flags flags("weft serve",
              "Serves a model behind the OpenAI API and gRPC: starts gateway, scheduler and worker "
              "on this machine and keeps them running.");
  AddServeFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;

  if (absl::Status status = Validate(options); !status.ok()) {
    std::cerr << "weft serve: " << status.message() << "\nSee --help.\n";
    return 2;
  }
  InitLog("weft", options.log);
  absl::StatusOr<std::string> bin = OwnFolder();
  absl::StatusOr<RunnerOptions> commands =
      bin.ok() ? Commands(std::move(options), *bin) : bin.status();
  if (!commands.ok()) {
    spdlog::error("{}", std::string(commands.status().message()));
    return 1;
  }
  return Run(*commands);
}

}  // namespace weft::cli
