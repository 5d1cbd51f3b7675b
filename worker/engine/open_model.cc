#include "worker/engine/open_model.h"

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"
#include "worker/model/digest.h"
#include "worker/ops/batch.h"

namespace weft::worker {
namespace {

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
  if (o.kv_cache_dtype != "auto" && o.kv_cache_dtype != "fp8") {
    return refuse("--kv-cache-dtype must be auto or fp8, not ", o.kv_cache_dtype);
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

absl::StatusOr<DType> ChooseDType(const std::string& wanted, const ModelConfig& config,
                                  DeviceTypes types, LoadFacts& facts) {
  if (wanted == "float32") return DType::kFloat32;
  if (wanted == "bfloat16") {
    if (types.has_bfloat16) return DType::kBFloat16;
    return absl::InvalidArgumentError(
        "--dtype bfloat16 needs a GPU of compute capability 8.0 or newer; here it is auto, float16 "
        "or float32");
  }
  if (wanted == "float16") {
    if (types.has_float16) return DType::kFloat16;
    return absl::InvalidArgumentError(
        "--dtype float16 needs a GPU; on the CPU it is auto, bfloat16 or float32");
  }
  if (wanted != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("--dtype must be auto, bfloat16, float16 or float32, not ", wanted));
  }
  if (config.dtype == DType::kFloat16 && !types.has_float16) {
    facts.warnings.push_back(
        "the checkpoint is float16, which the CPU does not compute in: using bfloat16, which keeps "
        "three bits less; --dtype float32 keeps all and takes twice the memory");
    return DType::kBFloat16;
  }
  if (config.dtype == DType::kBFloat16 && !types.has_bfloat16) {
    facts.warnings.push_back(
        "the checkpoint is bfloat16, which this GPU does not compute in: using float16, whose "
        "range "
        "is smaller; sums are in float32");
    return DType::kFloat16;
  }
  return config.dtype;
}

// Equal fingerprints compute the same function: shape, weights, number formats,
// tokenizer.
absl::StatusOr<std::string> MakeFingerprint(const std::string& dir, const ModelConfig& c,
                                            DType dtype, const std::string& kv_dtype,
                                            const WeightSource& source) {
  Digest digest;
  digest.Add(absl::StrCat("qwen2 v", c.vocab_size, " h", c.hidden_size, " i", c.intermediate_size,
                          " l", c.num_layers, " a", c.num_heads, "/", c.num_kv_heads, " d",
                          c.head_dim, " e", c.rms_norm_eps, " r", c.rope_theta, " t", c.tied_head,
                          " ", NameOf(dtype), " kv ", kv_dtype, "\n"));
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

}  // namespace

absl::StatusOr<OpenedModel> OpenModel(const ModelBackendOptions& options, DeviceTypes types,
                                      LoadFacts& facts) {
  if (auto s = CheckOptions(options); !s.ok()) return s;
  OpenedModel model;
  auto config = LoadModelConfig(options.model_dir);
  if (!config.ok()) return config.status();
  model.config = *std::move(config);
  const auto dtype = ChooseDType(options.dtype, model.config, types, facts);
  if (!dtype.ok()) return dtype.status();
  model.dtype = *dtype;
  const auto vocab_size = LoadTokenizerVocabSize(options.model_dir, model.config);
  if (!vocab_size.ok()) return vocab_size.status();
  model.vocab_size = *vocab_size;
  auto source = options.load_format == "dummy"
                    ? absl::StatusOr<std::unique_ptr<WeightSource>>(MakeDummyWeights())
                    : OpenCheckpoint(options.model_dir, Qwen2Tensors(model.config));
  if (!source.ok()) return source.status();
  model.source = *std::move(source);
  const std::string kv_dtype =
      options.kv_cache_dtype == "fp8" ? "float8_e4m3" : NameOf(model.dtype);
  auto fingerprint =
      MakeFingerprint(options.model_dir, model.config, model.dtype, kv_dtype, *model.source);
  if (!fingerprint.ok()) return fingerprint.status();
  model.fingerprint = *std::move(fingerprint);

  facts.dtype = NameOf(model.dtype);
  facts.kv_dtype = kv_dtype;
  facts.num_parameters = model.config.num_parameters();
  return model;
}

BackendLimits LimitsOf(const KvPlan& plan, int64_t bytes_per_block, int max_steps_in_flight,
                       const ModelBackendOptions& options, const OpenedModel& opened,
                       LoadFacts& facts) {
  facts.kv_bytes = plan.num_blocks * bytes_per_block;
  facts.num_blocks = plan.num_blocks;
  facts.num_kv_tokens = int64_t{plan.num_blocks} * ops::kBlockTokens;
  facts.max_context_tokens = plan.max_context_tokens;
  return {.num_blocks = plan.num_blocks,
          .block_tokens = ops::kBlockTokens,
          .max_rows = options.max_num_seqs,
          .max_step_tokens = options.max_num_batched_tokens,
          .max_steps_in_flight = max_steps_in_flight,
          .max_context_tokens = plan.max_context_tokens,
          .vocab_size = opened.vocab_size};
}

absl::Status RunCanary(Backend& backend) {
  const BackendLimits& limits = backend.limits();
  // More than the kernels for few tokens take, and a block that is not full.
  constexpr int kPromptTokens = 37;
  const int room = std::min(limits.max_context_tokens, limits.num_blocks * limits.block_tokens);
  const int num_tokens = std::min({kPromptTokens, limits.max_step_tokens, room});
  SlotEntry entry = {.num_prompt_tokens = num_tokens};
  for (int i = 0; i < num_tokens; ++i) {
    entry.tokens.push_back(static_cast<TokenId>(int64_t{i} * limits.vocab_size / num_tokens));
  }
  for (int i = 0; i * limits.block_tokens < std::min(num_tokens + 1, room); ++i) {
    entry.blocks.push_back(i);
  }
  std::vector<StepCommand> steps = {
      {.entries = {entry}, .rows = {{.slot = 0, .num_tokens = num_tokens}}}};
  if (num_tokens < room) steps.push_back({.rows = {{.slot = 0, .num_tokens = 1}}});
  absl::Status status;
  for (const StepCommand& step : steps) {
    const auto result = backend.Execute(step);
    status = result.status();
    if (status.ok() && result->rows[0].status != RowStatus::kOk) {
      status = absl::FailedPreconditionError(
          "the first forward pass gave NaN or infinity: the weights are damaged, or overflow in "
          "this dtype");
    }
    if (!status.ok()) break;
  }
  backend.Reset();
  return status;
}

}  // namespace weft::worker
