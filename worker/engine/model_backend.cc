#include "worker/engine/model_backend.h"

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"
#include "worker/engine/memory.h"
#include "worker/engine/slot_table.h"
#include "worker/model/digest.h"
#include "worker/model/model_config.h"
#include "worker/model/qwen2.h"
#include "worker/model/weight_source.h"
#include "worker/ops/cpu/kernels.h"
#include "worker/ops/cpu/thread_pool.h"

namespace weft::worker {
namespace {

using SteadyClock = std::chrono::steady_clock;

int64_t MicrosSince(SteadyClock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - start).count();
}

double SecondsSince(SteadyClock::time_point start) {
  return static_cast<double>(MicrosSince(start)) * 1e-6;
}

// LibTorch reports by exception; none leaves this file.
template <class Call>
auto WithoutExceptions(Call call) -> decltype(call()) {
  try {
    const c10::InferenceMode no_autograd;
    return call();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

class ModelBackend : public Backend {
 public:
  ModelBackend(std::unique_ptr<Qwen2> model, std::vector<ops::KvLayer> kv, BackendLimits limits,
               std::string fingerprint, std::string device)
      : model_(std::move(model)),
        kv_(std::move(kv)),
        limits_(limits),
        fingerprint_(std::move(fingerprint)),
        device_(std::move(device)),
        slots_(limits) {}

  const BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& device() const override { return device_; }

  absl::StatusOr<StepResult> Execute(const StepCommand& command) override {
    return WithoutExceptions([&] { return ExecuteOrThrow(command); });
  }

  void Reset() override { slots_.Reset(); }

  absl::Status RunCanary();

 private:
  absl::StatusOr<StepResult> ExecuteOrThrow(const StepCommand& command);
  void Sample(const std::vector<StepRowPlan>& rows, at::Tensor logits,
              std::vector<RowResult>& results);

  std::unique_ptr<Qwen2> model_;
  std::vector<ops::KvLayer> kv_;  // by layer
  const BackendLimits limits_;
  const std::string fingerprint_;
  const std::string device_;
  SlotTable slots_;
};

absl::StatusOr<StepResult> ModelBackend::ExecuteOrThrow(const StepCommand& command) {
  auto rows = slots_.Begin(command);
  if (!rows.ok()) return rows.status();
  StepResult result = {.step_id = command.step_id};
  result.rows.resize(rows->size());
  if (rows->empty()) return result;

  const auto started = SteadyClock::now();
  const at::Tensor logits = model_->Forward(MakeBatch(slots_, *rows), kv_);
  result.forward_us = MicrosSince(started);

  const auto sampling = SteadyClock::now();
  Sample(*rows, logits, result.rows);
  slots_.Finish(*rows, result.rows);
  result.sample_us = MicrosSince(sampling);
  return result;
}

void ModelBackend::Sample(const std::vector<StepRowPlan>& rows, at::Tensor logits,
                          std::vector<RowResult>& results) {
  std::vector<int> sampling;  // rows, in the order of logits
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].samples) sampling.push_back(static_cast<int>(i));
  }
  float* values = logits.mutable_data_ptr<float>();
  const int64_t stride = logits.size(1);
  ops::cpu::Pool().Run(static_cast<int>(sampling.size()), [&](int i) {
    const int row = sampling[i];
    // Ids past the tokenizer's last are padding of the embedding.
    const std::span<float> known(values + i * stride, limits_.vocab_size);
    results[row] = SampleRow(slots_.slot(rows[row].slot).sampling, known);
  });
}

// Weights that compute NaN, or kernels that do on this machine, show here and not
// in a client's answer.
absl::Status ModelBackend::RunCanary() {
  const int num_tokens =
      std::min({limits_.max_step_tokens, limits_.max_context_tokens, limits_.block_tokens});
  StepCommand command;
  SlotEntry entry = {.num_prompt_tokens = num_tokens, .blocks = {0}};
  for (int i = 0; i < num_tokens; ++i) {
    entry.tokens.push_back(static_cast<TokenId>(int64_t{i} * limits_.vocab_size / num_tokens));
  }
  command.entries = {entry};
  command.rows = {{.slot = 0, .num_tokens = num_tokens}};
  const auto result = Execute(command);
  Reset();
  if (!result.ok()) return result.status();
  if (result->rows[0].status != RowStatus::kOk) {
    return absl::FailedPreconditionError(
        "the first forward pass gave NaN or infinity: the weights are damaged, or overflow in "
        "this dtype");
  }
  return absl::OkStatus();
}

// ---- loading ----

absl::StatusOr<DType> ChooseDType(const std::string& wanted, const ModelConfig& config,
                                  LoadFacts& facts) {
  if (wanted == "bfloat16") return DType::kBFloat16;
  if (wanted == "float32") return DType::kFloat32;
  if (wanted == "float16") {
    return absl::InvalidArgumentError(
        "--dtype float16 needs a GPU; on the CPU it is auto, bfloat16 or float32");
  }
  if (wanted != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("--dtype must be auto, bfloat16, float16 or float32, not ", wanted));
  }
  if (config.dtype != DType::kFloat16) return config.dtype;
  facts.warnings.push_back(
      "the checkpoint is float16, which the CPU does not compute in: using bfloat16, which keeps "
      "three bits less; --dtype float32 keeps all and takes twice the memory");
  return DType::kBFloat16;
}

absl::Status CheckOptions(const ModelBackendOptions& o) {
  const auto refuse = [](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat(what...));
  };
  if (o.load_format != "auto" && o.load_format != "dummy") {
    return refuse("--load-format must be auto or dummy, not ", o.load_format);
  }
  if (o.max_num_seqs < 1 || o.max_num_seqs > 4096) {
    return refuse("--max-num-seqs must be between 1 and 4096, not ", o.max_num_seqs);
  }
  if (o.max_num_batched_tokens < o.max_num_seqs || o.max_num_batched_tokens > 1 << 20) {
    return refuse("--max-num-batched-tokens must be between --max-num-seqs (", o.max_num_seqs,
                  ") and ", 1 << 20, ", not ", o.max_num_batched_tokens);
  }
  if (o.max_model_len < 0) return refuse("--max-model-len must be 0 (automatic) or more");
  if (o.kv_bytes < 0) return refuse("the KV pool's size must be 0 (automatic) or more bytes");
  if (!(o.memory_utilization > 0 && o.memory_utilization <= 1)) {
    return refuse("the share of memory to use must be above 0 and at most 1, not ",
                  o.memory_utilization);
  }
  if (o.num_threads < 0 || o.num_threads > 1024) {
    return refuse("the number of threads must be between 0 (every core) and 1024, not ",
                  o.num_threads);
  }
  return absl::OkStatus();
}

// Passes reading on and tells how far it is.
class ProgressSource : public WeightSource {
 public:
  ProgressSource(const WeightSource& source, const ModelBackendOptions& options, int64_t total)
      : source_(source), options_(options), total_(total) {}

  absl::Status Read(const TensorSpec& tensor, DType dtype, void* out) const override {
    const auto status = source_.Read(tensor, dtype, out);
    done_ += tensor.num_elements() * BytesOf(dtype);
    if (options_.on_progress) options_.on_progress(done_, total_);
    return status;
  }
  absl::StatusOr<std::string> Fingerprint() const override { return source_.Fingerprint(); }

 private:
  const WeightSource& source_;
  const ModelBackendOptions& options_;
  const int64_t total_;
  mutable int64_t done_ = 0;
};

// Equal fingerprints compute the same function: shape, weights, number formats,
// tokenizer.
absl::StatusOr<std::string> MakeFingerprint(const std::string& dir, const ModelConfig& c,
                                            DType dtype, const WeightSource& source) {
  Digest digest;
  digest.Add(absl::StrCat("qwen2 v", c.vocab_size, " h", c.hidden_size, " i", c.intermediate_size,
                          " l", c.num_layers, " a", c.num_heads, "/", c.num_kv_heads, " d",
                          c.head_dim, " e", c.rms_norm_eps, " r", c.rope_theta, " t", c.tied_head,
                          " ", NameOf(dtype), " kv ", NameOf(dtype), "\n"));
  auto weights = source.Fingerprint();
  if (!weights.ok()) return weights.status();
  digest.Add(*weights);
  auto tokenizer = ReadFile(dir + "/tokenizer.json", int64_t{256} << 20);
  if (tokenizer.ok()) {
    digest.Add(*tokenizer);
  } else if (!absl::IsNotFound(tokenizer.status())) {
    return tokenizer.status();
  }
  return digest.Hex();
}

absl::StatusOr<std::unique_ptr<Backend>> LoadOrThrow(const ModelBackendOptions& options,
                                                     LoadFacts& facts) {
  if (auto s = CheckOptions(options); !s.ok()) return s;
  auto phase = SteadyClock::now();
  const auto config = LoadModelConfig(options.model_dir);
  if (!config.ok()) return config.status();
  const auto dtype = ChooseDType(options.dtype, *config, facts);
  if (!dtype.ok()) return dtype.status();
  const auto vocab_size = LoadTokenizerVocabSize(options.model_dir, *config);
  if (!vocab_size.ok()) return vocab_size.status();
  const auto memory = ReadHostMemory();
  if (!memory.ok()) return memory.status();
  auto source = options.load_format == "dummy"
                    ? absl::StatusOr<std::unique_ptr<WeightSource>>(MakeDummyWeights())
                    : OpenCheckpoint(options.model_dir, Qwen2Tensors(*config));
  if (!source.ok()) return source.status();
  auto fingerprint = MakeFingerprint(options.model_dir, *config, *dtype, **source);
  if (!fingerprint.ok()) return fingerprint.status();

  ops::cpu::SetNumThreads(options.num_threads);
  facts.device = "cpu";
  facts.device_details = absl::StrCat(ops::cpu::AvailableKernels().front()->isa, ", ",
                                      ops::cpu::Pool().num_threads(), " threads");
  facts.dtype = NameOf(*dtype);
  facts.num_parameters = config->num_parameters();
  facts.memory_total_bytes = memory->total_bytes;
  facts.memory_available_bytes = memory->available_bytes;
  facts.files_seconds = SecondsSince(phase);

  phase = SteadyClock::now();
  const int64_t weight_bytes = config->num_parameters() * BytesOf(*dtype);
  const auto budget = static_cast<int64_t>(options.memory_utilization *
                                           static_cast<double>(memory->available_bytes));
  if (weight_bytes > budget) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the weights take ", weight_bytes >> 20, " MiB in ", facts.dtype, "; ", budget >> 20,
        " MiB may be used of ", memory->available_bytes >> 20, " MiB available"));
  }
  auto model = Qwen2::Load(
      *config, *dtype, ProgressSource(**source, options, weight_bytes),
      {.max_tokens = options.max_num_batched_tokens, .max_logits = options.max_num_seqs});
  if (!model.ok()) return model.status();
  facts.weight_bytes = (*model)->weight_bytes();
  facts.scratch_bytes = (*model)->scratch_bytes();
  facts.weights_seconds = SecondsSince(phase);

  phase = SteadyClock::now();
  const int64_t bytes_per_block = config->kv_bytes_per_token(*dtype) * ops::kBlockTokens;
  const auto plan = PlanKv({.bytes_per_block = bytes_per_block,
                            .bytes = options.kv_bytes,
                            .spare_bytes = budget - facts.weight_bytes - facts.scratch_bytes,
                            .max_model_len = options.max_model_len,
                            .model_context = config->max_position_embeddings,
                            .max_num_seqs = options.max_num_seqs});
  if (!plan.ok()) return plan.status();
  std::vector<ops::KvLayer> kv;
  for (int i = 0; i < config->num_layers; ++i) {
    kv.push_back(ops::MakeKvLayer((*model)->heads(), plan->num_blocks, TorchType(*dtype)));
  }
  facts.kv_bytes = plan->num_blocks * bytes_per_block;
  facts.num_blocks = plan->num_blocks;
  facts.num_kv_tokens = int64_t{plan->num_blocks} * ops::kBlockTokens;
  facts.max_context_tokens = plan->max_context_tokens;
  facts.kv_seconds = SecondsSince(phase);

  phase = SteadyClock::now();
  const BackendLimits limits = {.num_blocks = plan->num_blocks,
                                .block_tokens = ops::kBlockTokens,
                                .max_rows = options.max_num_seqs,
                                .max_step_tokens = options.max_num_batched_tokens,
                                .max_steps_in_flight = 1,
                                .max_context_tokens = plan->max_context_tokens,
                                .vocab_size = *vocab_size};
  auto backend = std::make_unique<ModelBackend>(*std::move(model), std::move(kv), limits,
                                                *std::move(fingerprint), facts.device);
  if (auto s = backend->RunCanary(); !s.ok()) return s;
  facts.canary_seconds = SecondsSince(phase);
  return backend;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeModelBackend(const ModelBackendOptions& options,
                                                          LoadFacts* facts) {
  LoadFacts unused;
  return WithoutExceptions([&] { return LoadOrThrow(options, facts ? *facts : unused); });
}

}  // namespace weft::worker
