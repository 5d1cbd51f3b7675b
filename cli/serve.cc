#include "cli/serve.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <iostream>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/pull/fetch.h"
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

bool IsOnHub(const std::string& model) {
  std::error_code error;
  return !fs::exists(model, error) && pull::ParseReference(model).ok();
}

// "models/demo/" -> "demo", "hf://acme/tiny@v1" -> "acme/tiny"
std::string NameOf(const std::string& model) {
  if (IsOnHub(model)) return pull::ParseReference(model)->repo;
  std::error_code error;
  return fs::canonical(model, error).filename().string();
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
      .AddPositional(
          "MODEL", options.models,
          "Folder in Hugging Face format: config.json, tokenizer.json, *.safetensors; or "
          "owner/name[@revision], a model of the hub (as `weft pull` brings it). Of several "
          "models each gets its part of memory and cores")
      ->required();
  flags
      .Add("--served-model-name", options.served_model_names,
           "Names by which clients ask for the model, apart by commas (default: the folder's, or "
           "owner/name); of several models, once for each")
      ->allow_extra_args(false);
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
         "Part of the available memory that weights and KV caches of all models may take")
      ->check(CLI::Range(0.01, 1.0));
  HandOn(flags, worker, "--kv-cache-memory-bytes",
         "KV cache of each model (default: what --gpu-memory-utilization leaves)")
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
  HandOn(flags, options.scheduler, "--max-waiting",
         "Requests that may wait; beyond that they are rejected (503)")
      ->check(CLI::Range(1, 1 << 24));
  HandOn(flags, options.scheduler, "--max-tenant-requests",
         "Requests that one tenant may have open; beyond that they are rejected (429). 0: no limit "
         "(default)")
      ->check(CLI::Range(0, 1 << 24));
  flags
      .Add("--api-key", options.api_keys,
           "Key that requests must bring; several are given as often, or apart by commas. Better "
           "given as WEFT_API_KEY: this command line is in the list of processes")
      ->allow_extra_args(false);
  HandOn(flags, options.gateway, "--api-key-file",
         "JSON file of hashed keys with tenants and limits (docs/access.md); `weft key` makes one");
  HandOn(flags, options.gateway, "--cors-origins",
         "Origins whose pages may call: *, none, or such as https://chat.example (default: *)");
  HandOn(flags, options.gateway, "--tls-cert",
         "PEM file of the certificate and its chain: HTTPS, and gRPC over TLS");
  HandOn(flags, options.gateway, "--tls-key", "PEM file of the certificate's key");
  HandOn(flags, options.gateway, "--tls-client-ca",
         "PEM file of authorities: only clients with a certificate of theirs are let in");
  HandOn(flags, options.gateway, "--tenant-header",
         "Header that names a request's tenant (default: all are one tenant)");
  flags.AddSwitch("--force-thinking", options.force_thinking,
                  "Every chat answer begins inside <think>, also where the template does not open "
                  "it");
  flags.AddSwitch("--enable-prefix-caching", options.enable_prefix_caching,
                  "Prompts share the KV blocks of equal beginnings; =false ends that");
  flags.AddSwitch("--playground", options.playground,
                  "A page at / on which to talk to the model; =false ends that");

  flags.Add(
      "--scheduler-port", options.scheduler_port,
      "Between the tiers; of several models, of the first, the others have the next; 0 takes a "
      "free one",
      0, 65535);
  flags.Add("--gateway-admin-port", options.gateway_admin_port,
            "/metrics, /healthz, /readyz, /drain; 0 takes a free one", 0, 65535);
  flags.Add("--scheduler-admin-port", options.scheduler_admin_port, "Likewise", 0, 65535);
  flags.Add("--worker-admin-port", options.worker_admin_port, "Likewise", 0, 65535);
  flags.Add("--drain-timeout", options.drain_timeout,
            "Seconds that open streams may take after Ctrl-C or SIGTERM", 0.0, 86400.0);
  AddTraceFlags(flags, options.trace, /*begins_traces=*/true);
  AddLogFlags(flags, options.log);
}

std::vector<std::string> NamesOf(const ServeOptions& options) {
  if (!options.served_model_names.empty()) return options.served_model_names;
  std::vector<std::string> names;
  for (const std::string& model : options.models) names.push_back(NameOf(model));
  return names;
}

namespace {

absl::Status ValidateFolder(const std::string& model) {
  std::error_code error;
  if (!fs::is_directory(model, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("MODEL ", model,
                     fs::exists(model, error) ? " is not a folder" : ": there is no such folder",
                     "; it takes one with config.json, tokenizer.json and *.safetensors, or "
                     "owner/name[@revision] of the hub"));
  }
  for (const char* file : {"config.json", "tokenizer.json"}) {
    if (!fs::exists(fs::path(model) / file, error)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "MODEL ", model, " has no ", file, ": it is not a model folder in Hugging Face format"));
    }
  }
  return absl::OkStatus();
}

// Each once, over all models.
absl::Status ValidateNames(const ServeOptions& options) {
  const size_t num_names = options.served_model_names.size();
  if (num_names > 0 && num_names != options.models.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--served-model-name is given ", num_names, " times for ",
                     options.models.size(), " models: it is given once for each, or not at all"));
  }
  std::set<std::string> known;
  for (const std::string& names : NamesOf(options)) {
    const std::vector<std::string> each = absl::StrSplit(names, ',');
    for (const std::string& name : each) {
      if (known.insert(name).second) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("two models are called ", name,
                       ": --served-model-name, once for each, tells them apart"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ServeOptions& options) {
  for (const std::string& model : options.models) {
    if (IsOnHub(model)) continue;
    if (auto s = ValidateFolder(model); !s.ok()) return s;
  }
  if (auto s = ValidateNames(options); !s.ok()) return s;
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

absl::Status FetchModels(ServeOptions& options, const Interrupts& interrupts) {
  options.served_model_names = NamesOf(options);
  const pull::HubSettings settings = pull::SettingsFromEnvironment();
  const auto reads_no_weights = [&](const char* flag, const char* value) {
    const auto given = options.worker.find(flag);
    return given != options.worker.end() && given->second == value;
  };
  for (std::string& model : options.models) {
    if (!IsOnHub(model)) continue;
    const pull::FetchOptions fetch{.reference = *pull::ParseReference(model),
                                   .tokenizer_only = reads_no_weights("--load-format", "dummy") ||
                                                     reads_no_weights("--backend", "simulated"),
                                   .to = ""};
    absl::StatusOr<std::string> folder = pull::Fetch(fetch, settings, interrupts);
    if (!folder.ok()) {
      return absl::Status(folder.status().code(), absl::StrCat("there is no folder ", model, "; ",
                                                               folder.status().message()));
    }
    model = *std::move(folder);
  }
  return absl::OkStatus();
}

int Serve(int argc, const char* const* argv) {
  ServeOptions options;
  Flags flags(
      "weft serve",
      "Serves models behind the OpenAI API and gRPC: starts a gateway, and for each model a "
      "scheduler and a worker, on this machine, and keeps them running.");
  AddServeFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;

  if (absl::Status status = Validate(options); !status.ok()) {
    std::cerr << "weft serve: " << status.message() << "\nSee --help.\n";
    return 2;
  }
  {
    const Interrupts interrupts;
    if (absl::Status status = FetchModels(options, interrupts); !status.ok()) {
      std::cerr << "weft serve: " << status.message() << '\n';
      return absl::IsCancelled(status) ? 128 + interrupts.signal() : 1;
    }
  }
  InitLog("weft", options.log);
  absl::StatusOr<std::string> bin = OwnFolder();
  absl::StatusOr<RunnerOptions> commands = bin.ok() ? Commands(options, *bin) : bin.status();
  if (!commands.ok()) {
    spdlog::error("{}", std::string(commands.status().message()));
    return 1;
  }
  return Run(*commands);
}

}  // namespace weft::cli
