#include "worker/engine/cpu_backend.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "worker/engine/grammar_masks.h"
#include "worker/engine/memory.h"
#include "worker/engine/open_model.h"
#include "worker/engine/prompt_logprobs.h"
#include "worker/engine/slot_table.h"
#include "worker/engine/stopwatch.h"
#include "worker/engine/without_exceptions.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cpu/kernels.h"
#include "worker/ops/cpu/ops_cpu.h"
#include "worker/ops/cpu/thread_pool.h"

namespace weft::worker {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(std::unique_ptr<ops::Ops> ops, std::unique_ptr<Qwen2> model, ops::cpu::KvPool kv,
             BackendLimits limits, std::string fingerprint, const std::string& model_dir)
      : ops_(std::move(ops)),
        model_(std::move(model)),
        kv_(std::move(kv)),
        limits_(limits),
        fingerprint_(std::move(fingerprint)),
        slots_(limits),
        grammars_(model_dir, limits.max_rows, kGrammarThreads),
        mask_words_(static_cast<size_t>(limits.max_rows) * MaskWords(limits.vocab_size)),
        mask_ready_(limits.max_rows) {}

  const BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& device() const override { return device_; }

  absl::Status Begin(const StepCommand& command) override;
  absl::StatusOr<StepResult> Await() override {
    return WithoutExceptions([&]() -> absl::StatusOr<StepResult> {
      const c10::InferenceMode no_autograd;
      return Compute();
    });
  }
  void Reset() override {
    slots_.Reset();
    grammars_.Reset();
  }

 private:
  // One is enough beside a forward pass that takes all cores.
  static constexpr int kGrammarThreads = 1;

  MaskTarget MaskOf(int row);
  StepResult Compute();
  void Sample(const std::vector<StepRowPlan>& rows, at::Tensor logits,
              std::vector<RowResult>& results);
  void FindPromptLogprobs(const std::vector<StepRowPlan>& rows, const ops::HostBatch& batch,
                          std::vector<RowResult>& results);

  std::unique_ptr<ops::Ops> ops_;
  std::unique_ptr<Qwen2> model_;
  ops::cpu::KvPool kv_;
  const BackendLimits limits_;
  const std::string fingerprint_;
  const std::string device_ = "cpu";
  SlotTable slots_;
  // The step that was begun.
  uint64_t step_id_ = 0;
  uint64_t num_begun_ = 0;
  std::vector<StepRowPlan> rows_;

  GrammarMasks grammars_;
  std::vector<uint32_t> mask_words_;  // [max rows, MaskWords], by row of the step
  std::vector<uint64_t> mask_ready_;  // by row: num_begun_ when it is
};

absl::Status CpuBackend::Begin(const StepCommand& command) {
  auto rows = slots_.Begin(command);
  if (!rows.ok()) return rows.status();
  step_id_ = command.step_id;
  rows_ = *std::move(rows);
  ++num_begun_;
  grammars_.Enter(command);
  for (size_t i = 0; i < rows_.size(); ++i) {
    const auto& follower = grammars_.of(rows_[i].slot);
    if (rows_[i].samples && follower) follower->Want(MaskOf(static_cast<int>(i)));
  }
  return absl::OkStatus();
}

MaskTarget CpuBackend::MaskOf(int row) {
  const int words = MaskWords(limits_.vocab_size);
  return {.words = std::span(mask_words_).subspan(static_cast<size_t>(row) * words, words),
          .ready = &mask_ready_[row],
          .value = num_begun_};
}

StepResult CpuBackend::Compute() {
  StepResult result = {.step_id = step_id_};
  result.rows.resize(rows_.size());
  if (rows_.empty()) return result;

  Stopwatch watch;
  const ops::HostBatch batch = MakeBatch(slots_, rows_);
  const at::Tensor logits = model_->Forward(batch.View(), kv_.layers());
  result.forward_us = watch.LapMicros();
  Sample(rows_, logits, result.rows);
  FindPromptLogprobs(rows_, batch, result.rows);
  slots_.Finish(rows_, result.rows);
  result.sample_us = watch.LapMicros();
  return result;
}

void CpuBackend::Sample(const std::vector<StepRowPlan>& rows, at::Tensor logits,
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
    const SamplingState& sampling = slots_.slot(rows[row].slot).sampling;
    const auto& follower = grammars_.of(rows[row].slot);
    if (!follower) {
      results[row] = SampleRow(sampling, known);
      return;
    }
    const MaskTarget mask = MaskOf(row);
    WaitUntilReady(mask);
    results[row] = follower->failed() ? GrammarFailedRow() : SampleRow(sampling, known, mask.words);
    const bool has_token = !results[row].tokens.empty();
    follower->Sampled(has_token ? std::optional(results[row].tokens[0]) : std::nullopt);
  });
}

// A second pass over the hidden states, as many tokens at a time as there are rows of
// logits.
void CpuBackend::FindPromptLogprobs(const std::vector<StepRowPlan>& rows,
                                    const ops::HostBatch& batch, std::vector<RowResult>& results) {
  std::vector<std::pair<int, int>> wanted;  // a row, and an entry of its answer
  std::vector<int32_t> tokens;              // likewise, of the batch
  for (size_t i = 0; i < rows.size(); ++i) {
    const StepRowPlan& row = rows[i];
    if (row.num_prompt_logprobs == 0) continue;
    const SamplingParams& sampling = slots_.slot(row.slot).sampling.params();
    results[i].prompt_logprobs =
        MakePromptLogprobs(row.first_position + 1, row.num_prompt_logprobs,
                           *sampling.num_prompt_logprobs, limits_.vocab_size);
    for (int j = 0; j < row.num_prompt_logprobs; ++j) {
      wanted.emplace_back(static_cast<int>(i), j);
      tokens.push_back(batch.row_starts[i] + j);
    }
  }
  std::vector<char> is_finite(wanted.size());
  const int num_wanted = static_cast<int>(wanted.size());
  for (int begin = 0; begin < num_wanted; begin += limits_.max_rows) {
    ops::Batch part = batch.View();
    part.num_logits = std::min(limits_.max_rows, num_wanted - begin);
    part.logit_tokens = tokens.data() + begin;
    const at::Tensor logits = model_->Logits(part);
    const float* values = logits.const_data_ptr<float>();
    const int64_t stride = logits.size(1);
    ops::cpu::Pool().Run(part.num_logits, [&](int i) {
      const auto [row, entry] = wanted[begin + i];
      const TokenId token =
          slots_.slot(rows[row].slot).tokens[rows[row].first_position + entry + 1];
      const std::span<const float> known(values + i * stride, limits_.vocab_size);
      is_finite[begin + i] = FillPromptLogprob(known, token, entry, results[row].prompt_logprobs);
    });
  }
  for (int i = 0; i < num_wanted; ++i) {
    if (!is_finite[i]) results[wanted[i].first] = NonFiniteRow();
  }
}

// Passes reading on and tells how far it is.
class ProgressSource : public WeightSource {
 public:
  ProgressSource(const WeightSource& source, const ModelBackendOptions& options, int64_t total)
      : source_(source), options_(options), total_(total) {}

  absl::Status ReadRange(const TensorSpec& tensor, DType dtype, NumberRange range,
                         void* out) const override {
    const auto status = source_.ReadRange(tensor, dtype, range, out);
    done_ += range.count * BytesOf(dtype);
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

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(const ModelBackendOptions& options,
                                                        LoadFacts& facts) {
  if (options.kv_cache_dtype == "fp8") {
    return absl::InvalidArgumentError("--kv-cache-dtype fp8 needs a GPU; on the CPU it is auto");
  }
  Stopwatch watch;
  auto opened = OpenModel(options, {.has_bfloat16 = true, .has_float16 = false}, facts);
  if (!opened.ok()) return opened.status();
  const auto memory = ReadHostMemory();
  if (!memory.ok()) return memory.status();
  ops::cpu::SetNumThreads(options.num_threads);
  facts.device = "cpu";
  facts.device_details = absl::StrCat(ops::cpu::AvailableKernels().front()->isa, ", ",
                                      ops::cpu::Pool().num_threads(), " threads");
  facts.memory_total_bytes = memory->total_bytes;
  facts.memory_available_bytes = memory->available_bytes;
  facts.files_seconds = watch.LapSeconds();

  const auto budget = static_cast<int64_t>(options.memory_utilization *
                                           static_cast<double>(memory->available_bytes));
  if (opened->weight_bytes() > budget) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the weights take ", opened->weight_bytes() >> 20, " MiB in ", facts.dtype, "; ",
        budget >> 20, " MiB may be used of ", memory->available_bytes >> 20, " MiB available"));
  }
  const int max_rows = options.max_num_seqs, max_tokens = options.max_num_batched_tokens;
  auto ops = ops::MakeCpuOps({.max_tokens = max_tokens,
                              .max_logits = max_rows,
                              .hidden_size = opened->config.hidden_size,
                              .intermediate_size = opened->config.intermediate_size,
                              .dtype = TorchType(opened->dtype)});
  auto model = std::make_unique<Qwen2>(opened->config, opened->dtype,
                                       StepLimits{max_tokens, max_rows}, *ops);
  const ProgressSource source(*opened->source, options, opened->weight_bytes());
  if (auto s = model->ReadWeights(source); !s.ok()) return s;
  facts.weight_bytes = model->weight_bytes();
  facts.scratch_bytes = ops->scratch_bytes();
  facts.weights_seconds = watch.LapSeconds();

  const int64_t bytes_per_block =
      opened->config.kv_bytes_per_token(opened->dtype) * ops::kBlockTokens;
  const auto plan = PlanKv({.bytes_per_block = bytes_per_block,
                            .bytes = options.kv_bytes,
                            .spare_bytes = budget - facts.weight_bytes - facts.scratch_bytes,
                            .max_automatic_bytes = kMaxAutomaticCpuKvBytes,
                            .max_model_len = options.max_model_len,
                            .model_context = opened->config.max_position_embeddings,
                            .max_num_seqs = max_rows});
  if (!plan.ok()) return plan.status();
  ops::cpu::KvPool kv(model->heads(), opened->config.num_layers, plan->num_blocks,
                      TorchType(opened->dtype));
  const BackendLimits limits =
      LimitsOf(*plan, bytes_per_block, /*max_steps_in_flight=*/1, options, *opened, facts);
  facts.kv_seconds = watch.LapSeconds();

  auto backend = std::make_unique<CpuBackend>(std::move(ops), std::move(model), std::move(kv),
                                              limits, opened->fingerprint, options.model_dir);
  if (auto s = RunCanary(*backend); !s.ok()) return s;
  facts.canary_seconds = watch.LapSeconds();
  return backend;
}

}  // namespace weft::worker
