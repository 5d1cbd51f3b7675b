#include "worker/rpc/load.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "sim/model_shape.h"
#include "worker/engine/simulated_backend.h"
#include "worker/model/model_config.h"
#include "worker/rpc/gpu_metrics.h"
#ifdef WEFT_HAS_MODEL
#include "worker/engine/model_backend.h"
#endif

namespace weft::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kGib = 1 << 30;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void LogLimits(const Backend& backend, double load_seconds) {
  const BackendLimits& limits = backend.limits();
  spdlog::info("KV cache: {} blocks of {} tokens, {} tokens in all", limits.num_blocks,
               limits.block_tokens, int64_t{limits.num_blocks} * limits.block_tokens);
  spdlog::info("limits: {} tokens a sequence, {} sequences and {} tokens a step",
               limits.max_context_tokens, limits.max_rows, limits.max_step_tokens);
  spdlog::info("loaded in {:.2f} s", load_seconds);
}

// Shape and vocabulary of the model that is pretended to run.
absl::Status DescribeModel(const std::string& model, SimulatedOptions& options) {
  auto config = LoadModelConfig(model);
  if (!config.ok()) return config.status();
  auto vocab_size = LoadTokenizerVocabSize(model, *config);
  if (!vocab_size.ok()) return vocab_size.status();
  options.vocab_size = *vocab_size;
  options.max_context_tokens = config->max_position_embeddings;
  options.shape = sim::ShapeOf(*config);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Backend>> LoadSimulated(const LoadOptions& options) {
  SimulatedOptions simulated{
      .gpu = options.simulated_gpu,
      .model_name = ModelName(options),
      .speed = options.simulated_speed,
      .memory_utilization = options.memory_utilization,
      .kv_bytes = options.kv_bytes,
      .vocab_size = options.simulated_vocab_size,
  };
  if (!options.model.empty()) {
    if (auto s = DescribeModel(options.model, simulated); !s.ok()) return s;
  }
  if (options.max_model_len > 0) simulated.max_context_tokens = options.max_model_len;
  if (options.max_num_seqs > 0) simulated.max_num_seqs = options.max_num_seqs;
  if (options.max_num_batched_tokens > 0) {
    simulated.max_num_batched_tokens = options.max_num_batched_tokens;
  }
  spdlog::info("device: simulated {}, at {} times its speed", options.simulated_gpu,
               options.simulated_speed);
  return MakeSimulatedBackend(simulated);
}

#ifdef WEFT_HAS_MODEL
void CountMemory(const LoadFacts& facts, Metrics& metrics) {
  auto gauge = [&](const char* kind, int64_t bytes) {
    metrics
        .Gauge("weft_worker_gpu_memory_bytes",
               "Memory of the device (a CPU worker's: of the machine) by what for.",
               {{"kind", kind}})
        .Set(static_cast<double>(bytes));
  };
  gauge("weights", facts.weight_bytes);
  gauge("kv", facts.kv_bytes);
  gauge("scratch", facts.scratch_bytes);
  gauge("total", facts.memory_total_bytes);
}

void LogFacts(const LoadFacts& facts) {
  for (const std::string& warning : facts.warnings) spdlog::warn("{}", warning);
  spdlog::info("device: {} ({}), computing in {}, KV in {}", facts.device, facts.device_details,
               facts.dtype, facts.kv_dtype);
  spdlog::info(
      "memory: {:.2f} GiB of {:.2f} GiB were available; weights take {:.2f}, a step {:.2f}, KV "
      "{:.2f}",
      facts.memory_available_bytes / kGib, facts.memory_total_bytes / kGib,
      facts.weight_bytes / kGib, facts.scratch_bytes / kGib, facts.kv_bytes / kGib);
  spdlog::info(
      "load: device {:.2f} s, files {:.2f} s, weights {:.2f} s, tuning {:.2f} s, KV {:.2f} s, "
      "first forward {:.2f} s, graphs {:.2f} s",
      facts.device_seconds, facts.files_seconds, facts.weights_seconds, facts.tuning_seconds,
      facts.kv_seconds, facts.canary_seconds, facts.graphs_seconds);
}

absl::StatusOr<std::unique_ptr<Backend>> LoadModel(const LoadOptions& options, Metrics& metrics) {
  ModelBackendOptions model{
      .model_dir = options.model,
      .device = options.backend,
      .dtype = options.dtype,
      .kv_cache_dtype = options.kv_cache_dtype,
      .load_format = options.load_format,
      .max_model_len = options.max_model_len,
      .max_num_seqs = options.max_num_seqs,
      .max_num_batched_tokens = options.max_num_batched_tokens,
      .kv_bytes = options.kv_bytes,
      .memory_utilization = options.memory_utilization,
      .num_threads = options.num_threads,
      .capture_graphs = !options.enforce_eager,
      .gemm_table_path = GemmTablePath(),
  };
  Clock::time_point last_told = Clock::now();
  model.on_progress = [&](int64_t done_bytes, int64_t total_bytes) {
    if (SecondsSince(last_told) < 1) return;
    last_told = Clock::now();
    spdlog::info("loading weights: {:.2f} of {:.2f} GiB", done_bytes / kGib, total_bytes / kGib);
  };
  LoadFacts facts;
  auto backend = MakeModelBackend(model, &facts);
  if (!backend.ok()) return backend.status();
  LogFacts(facts);
  CountMemory(facts, metrics);
  if (!facts.pci_bus_id.empty()) WatchGpu(facts.pci_bus_id, metrics);
  return backend;
}
#else
absl::StatusOr<std::unique_ptr<Backend>> LoadModel(const LoadOptions&, Metrics&) {
  return absl::InvalidArgumentError(
      "this worker was built without the model: only --backend simulated runs");
}
#endif

}  // namespace

void AddLoadFlags(Flags& flags, LoadOptions& options) {
  flags.Add("--model", options.model,
            "Folder in Hugging Face format: config.json, tokenizer.json, *.safetensors");
  flags.AddChoice(
      "--backend", options.backend, {"auto", "cuda", "cpu", "simulated"},
      "auto: the model on the GPU if there is one, else on the CPU; simulated: no model, "
      "tokens by a hash, steps as long as a GPU's");
  flags.AddChoice("--dtype", options.dtype, {"auto", "bfloat16", "float16", "float32"},
                  "Weights and activations; auto: the checkpoint's");
  flags.AddChoice("--kv-cache-dtype", options.kv_cache_dtype, {"auto", "fp8"},
                  "KV cache; auto: as --dtype; fp8: e4m3, half the memory (GPU)");
  flags.AddChoice("--load-format", options.load_format, {"auto", "dummy"},
                  "dummy: random weights in the shape of config.json");
  flags.Add("--gpu-memory-utilization", options.memory_utilization,
            "Part of the memory (GPU: of the card's; CPU: of what is available) that this worker, "
            "weights, KV cache and all, may fill",
            0.01, 1.0);
  flags.Add("--kv-cache-memory-bytes", options.kv_bytes,
            "KV cache; 0: what --gpu-memory-utilization leaves", int64_t{0}, int64_t{1} << 50);
  flags.Add("--max-model-len", options.max_model_len,
            "Prompt and output of one request, in tokens; 0: the model's", 0, 1 << 24);
  flags.Add("--max-num-seqs", options.max_num_seqs,
            "Sequences in one step; 0: what suits the device", 0, 1 << 16);
  flags.Add("--max-num-batched-tokens", options.max_num_batched_tokens,
            "Tokens in one step; 0: what suits the device", 0, 1 << 24);
  flags.AddSwitch("--enforce-eager", options.enforce_eager,
                  "GPU: no captured steps; starts sooner, decodes slower");
  flags.Add("--num-threads", options.num_threads, "CPU threads of the model; 0: one per core", 0,
            1024);
  flags.AddChoice("--simulated-gpu", options.simulated_gpu, {"H200", "T4", "CPU"},
                  "Whose step times --backend simulated has");
  flags.Add("--simulated-speed", options.simulated_speed, "How many times as fast as that", 0.001,
            1e9);
  flags.Add("--simulated-vocab-size", options.simulated_vocab_size,
            "Ids of --backend simulated without --model", 100, 1 << 24);
}

std::string GemmTablePath() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"))
    return absl::StrCat(cache, "/weft/gemm.txt");
  if (const char* home = std::getenv("HOME")) return absl::StrCat(home, "/.cache/weft/gemm.txt");
  return "";
}

std::string ModelName(const LoadOptions& options) {
  if (options.model.empty()) return "simulated";
  std::filesystem::path path = std::filesystem::absolute(options.model).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

absl::StatusOr<std::unique_ptr<Backend>> LoadBackend(const LoadOptions& options, Metrics& metrics) {
  const Clock::time_point started = Clock::now();
  const bool is_simulated = options.backend == "simulated";
  if (!is_simulated && options.model.empty()) {
    return absl::InvalidArgumentError("--model is missing: the folder of the model to serve");
  }
  auto backend = is_simulated ? LoadSimulated(options) : LoadModel(options, metrics);
  if (!backend.ok()) return backend.status();
  const double seconds = SecondsSince(started);
  metrics.Gauge("weft_worker_model_load_seconds", "Seconds that loading the model took.")
      .Set(seconds);
  LogLimits(**backend, seconds);
  return backend;
}

}  // namespace weft::worker
