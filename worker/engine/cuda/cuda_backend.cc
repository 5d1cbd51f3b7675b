#include "worker/engine/cuda/cuda_backend.h"

#include <cuda_runtime.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "worker/engine/cuda/pinned_memory.h"
#include "worker/engine/cuda/step_state.h"
#include "worker/engine/cuda/upload.h"
#include "worker/engine/memory.h"
#include "worker/engine/open_model.h"
#include "worker/engine/slot_table.h"
#include "worker/engine/stopwatch.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/ops_cuda.h"

namespace weft::worker {
namespace {

using ops::cuda::CudaOps;
using ops::cuda::SampledRow;
using SteadyClock = std::chrono::steady_clock;

// Two: the device runs one step while the host plans the next.
constexpr int kGpuStepsInFlight = 2;
static_assert(kGpuStepsInFlight + 2 <= kStepRing, "a record is reused after it was awaited");

// Token ids and blocks of entering sequences, on their way; more takes several turns.
constexpr int64_t kMinStagingBytes = int64_t{4} << 20;

// What the driver, loaded kernels and graphs may yet take.
constexpr int64_t kReservedBytes = int64_t{768} << 20;

// An error of CUDA leaves nothing to go on with. No destructors: they would touch the
// device.
[[noreturn]] void Die(const std::string& cause) {
  spdlog::critical("the GPU failed, this worker ends: {}", cause);
  spdlog::default_logger()->flush();
  std::fflush(nullptr);
  _exit(1);
}

void CheckOrDie(cudaError_t error, const char* what) {
  if (error != cudaSuccess) Die(absl::StrCat(what, ": ", cudaGetErrorString(error)));
}

int BlocksFor(int num_tokens) { return (num_tokens + ops::kBlockTokens - 1) / ops::kBlockTokens; }

// Sizes of captured steps: every small one, then within an eighth of any.
std::vector<int> GraphSizes(int max_rows) {
  std::vector<int> sizes;
  for (int n = 1; n < max_rows; n += n < 8 ? 1 : n < 16 ? 2 : n < 64 ? 8 : n < 128 ? 16 : 32) {
    sizes.push_back(n);
  }
  sizes.push_back(max_rows);
  return sizes;
}

// A step that was begun, as Await needs it.
struct StepInFlight {
  uint64_t step_id = 0;
  uint64_t count = 0;  // the device's, of this step
  bool is_launched = false;
  // By position in the command: the row of logits that answers it; -1: samples nothing.
  std::vector<int> logit_rows;
  std::vector<bool> wants_logprobs;
  SteadyClock::time_point begun;
};

struct GraphDeleter {
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, GraphDeleter>;

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<CudaOps> ops, std::unique_ptr<Qwen2> model,
              std::vector<ops::KvLayer> kv, BackendLimits limits, std::string fingerprint,
              std::string device);
  ~CudaBackend() override { cudaStreamSynchronize(ops_->stream()); }

  const BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& device() const override { return device_; }

  absl::Status Begin(const StepCommand& command) override;
  absl::StatusOr<StepResult> Await() override;
  void Reset() override;

  // Captures steps of single tokens, for every number of rows.
  absl::Status CaptureGraphs();

 private:
  StepRecord& WriteRecord(const StepCommand& command, const std::vector<StepRowPlan>& rows,
                          StepInFlight& step);
  void EnterAll(const std::vector<SlotEntry>& entries, char* staging);
  void Launch(const StepRecord& record, const char* records, const uint64_t* step, int num_rows,
              int num_tokens);
  void LaunchEagerly(const StepRecord& record);
  cudaGraphExec_t GraphFor(const StepRecord& record) const;
  RowResult ReadAnswer(const SampledRow& answer, bool wants_logprobs) const;
  void WaitFor(uint64_t count) const;

  std::unique_ptr<CudaOps> ops_;
  std::unique_ptr<Qwen2> model_;
  const std::vector<ops::KvLayer> kv_;
  const BackendLimits limits_;
  const std::string fingerprint_;
  const std::string device_;

  const StepRecordShape record_shape_;
  const int64_t staging_bytes_;
  SlotState slot_state_;
  BatchArrays arrays_;
  char* device_record_ = nullptr;  // of an eager step
  char* device_staging_ = nullptr;
  uint64_t* device_step_ = nullptr;  // steps finished

  PinnedArray<char> records_;        // [kStepRing] records
  PinnedArray<char> staging_;        // [kStepRing] staging areas
  PinnedArray<SampledRow> answers_;  // [kStepRing, max rows]
  PinnedArray<uint64_t> done_;       // [kStepRing]: FinishStep

  std::vector<std::pair<int, Graph>> graphs_;  // by number of rows, ascending

  SlotTable slots_;  // the beginning thread's
  std::array<StepInFlight, kStepRing> in_flight_;
  uint64_t num_begun_ = 0;
  uint64_t num_launched_ = 0;  // as device_step_ will count
  uint64_t num_awaited_ = 0;   // the awaiting thread's, as the next
  SteadyClock::time_point last_done_;
};

CudaBackend::CudaBackend(std::unique_ptr<CudaOps> ops, std::unique_ptr<Qwen2> model,
                         std::vector<ops::KvLayer> kv, BackendLimits limits,
                         std::string fingerprint, std::string device)
    : ops_(std::move(ops)),
      model_(std::move(model)),
      kv_(std::move(kv)),
      limits_(limits),
      fingerprint_(std::move(fingerprint)),
      device_(std::move(device)),
      record_shape_{.max_rows = limits.max_rows,
                    .max_new_blocks = 2 * limits.max_rows + BlocksFor(limits.max_step_tokens) +
                                      BlocksFor(limits.max_context_tokens)},
      staging_bytes_(
          std::max<int64_t>(kMinStagingBytes, int64_t{limits.max_context_tokens} * 8 + (1 << 16))),
      records_(kStepRing * record_shape_.bytes()),
      staging_(kStepRing * staging_bytes_),
      answers_(int64_t{kStepRing} * limits.max_rows),
      done_(kStepRing),
      slots_(limits) {
  ops::cuda::DeviceMemory& memory = ops_->memory();
  const auto ints = [&](int64_t count) {
    return static_cast<int32_t*>(memory.TakeZeroed(count * sizeof(int32_t)));
  };
  const int64_t rows = limits.max_rows, tokens = limits.max_step_tokens;
  slot_state_ = {.max_slots = limits.max_rows,
                 .token_stride = limits.max_context_tokens + 1,
                 .max_blocks = BlocksFor(limits.max_context_tokens)};
  slot_state_.tokens = ints(rows * slot_state_.token_stride);
  slot_state_.num_tokens = ints(rows);
  slot_state_.blocks = ints(rows * slot_state_.max_blocks);
  slot_state_.sampling = static_cast<ops::cuda::SlotSampling*>(
      memory.TakeZeroed(rows * sizeof(ops::cuda::SlotSampling)));
  slot_state_.bias_ids = ints(rows * ops::cuda::kMaxBiasEntries);
  slot_state_.bias_values =
      static_cast<float*>(memory.TakeZeroed(rows * ops::cuda::kMaxBiasEntries * sizeof(float)));
  arrays_ = {.token_ids = ints(tokens),
             .positions = ints(tokens),
             .row_starts = ints(rows + 1),
             .block_starts = ints(rows),
             .single_block_sums = ints(rows + 1),
             .logit_tokens = ints(rows),
             .logit_slots = ints(rows)};
  device_record_ = static_cast<char*>(memory.TakeZeroed(record_shape_.bytes()));
  device_staging_ = static_cast<char*>(memory.TakeZeroed(staging_bytes_));
  device_step_ = static_cast<uint64_t*>(memory.TakeZeroed(sizeof(uint64_t)));
  std::memset(done_.data(), 0, kStepRing * sizeof(uint64_t));
}

absl::Status CudaBackend::Begin(const StepCommand& command) {
  int num_new_blocks = 0;
  for (const StepRow& row : command.rows) num_new_blocks += static_cast<int>(row.new_blocks.size());
  if (num_new_blocks > record_shape_.max_new_blocks) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a step that appends ", num_new_blocks, " blocks; at most ", record_shape_.max_new_blocks));
  }
  const auto rows = slots_.Begin(command);
  if (!rows.ok()) return rows.status();

  WEFT_CHECK(num_begun_ - num_awaited_ < kGpuStepsInFlight);
  StepInFlight& step = in_flight_[num_begun_++ % kStepRing];
  step.step_id = command.step_id;
  step.count = num_launched_;
  step.is_launched = !rows->empty();
  step.begun = SteadyClock::now();
  const int64_t place = static_cast<int64_t>(num_launched_ % kStepRing);
  if (!command.entries.empty()) {
    EnterAll(command.entries, staging_.data() + place * staging_bytes_);
  }
  if (rows->empty()) {
    step.logit_rows.clear();
    // The staging area may be written again for the next step.
    if (!command.entries.empty()) {
      CheckOrDie(cudaStreamSynchronize(ops_->stream()), "entering slots");
    }
    return absl::OkStatus();
  }
  const StepRecord& record = WriteRecord(command, *rows, step);
  ++num_launched_;
  if (cudaGraphExec_t graph = GraphFor(record)) {
    CheckOrDie(cudaGraphLaunch(graph, ops_->stream()), "launching a step");
  } else {
    LaunchEagerly(record);
  }
  return absl::OkStatus();
}

// Single rows come first; within each part the command's order holds.
StepRecord& CudaBackend::WriteRecord(const StepCommand& command,
                                     const std::vector<StepRowPlan>& rows, StepInFlight& step) {
  char* at = records_.data() + num_launched_ % kStepRing * record_shape_.bytes();
  auto& record = *reinterpret_cast<StepRecord*>(at);
  auto* row_records = reinterpret_cast<RowRecord*>(at + record_shape_.rows_offset());
  auto* row_starts = reinterpret_cast<int32_t*>(at + record_shape_.row_starts_offset());
  auto* block_sums = reinterpret_cast<int32_t*>(at + record_shape_.block_sums_offset());
  auto* new_blocks = reinterpret_cast<NewBlock*>(at + record_shape_.new_blocks_offset());
  record = {};
  step.logit_rows.assign(rows.size(), -1);
  step.wants_logprobs.assign(rows.size(), false);
  block_sums[0] = 0;
  const auto add = [&](size_t i) {
    const StepRowPlan& row = rows[i];
    RowRecord& to = row_records[record.num_rows];
    to = {.slot = row.slot,
          .first_position = row.first_position,
          .num_tokens = row.num_tokens,
          .logit_row = row.samples ? record.num_logits++ : -1};
    step.logit_rows[i] = to.logit_row;
    const Slot& slot = slots_.slot(row.slot);
    step.wants_logprobs[i] = slot.sampling.params().num_logprobs.has_value();
    row_starts[record.num_rows++] = record.num_tokens;
    record.num_tokens += row.num_tokens;
    int index = static_cast<int>(slot.blocks.size() - command.rows[i].new_blocks.size());
    for (int block : command.rows[i].new_blocks) {
      new_blocks[record.num_new_blocks++] = {row.slot * slot_state_.max_blocks + index++, block};
    }
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].num_tokens != 1) continue;
    add(i);
    block_sums[record.num_rows] =
        block_sums[record.num_rows - 1] + BlocksFor(rows[i].first_position + 1);
  }
  record.num_single_rows = record.num_rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].num_tokens != 1) add(i);
  }
  row_starts[record.num_rows] = record.num_tokens;
  return record;
}

// In as many turns as the staging area takes.
void CudaBackend::EnterAll(const std::vector<SlotEntry>& entries, char* staging) {
  const auto rounded = [](size_t bytes) { return static_cast<int64_t>((bytes + 15) / 16 * 16); };
  size_t next = 0;
  while (next < entries.size()) {
    if (next > 0) CheckOrDie(cudaStreamSynchronize(ops_->stream()), "entering slots");
    // As many as fit.
    int64_t bytes = 0;
    size_t end = next;
    for (; end < entries.size(); ++end) {
      const SlotEntry& e = entries[end];
      const int64_t needed = sizeof(EntryRecord) + 16 + rounded(e.tokens.size() * 4) +
                             rounded(e.blocks.size() * 4) +
                             2 * rounded(e.sampling.logit_bias.size() * 4);
      if (end > next && bytes + needed > staging_bytes_) break;
      bytes += needed;
    }
    int64_t at = rounded((end - next) * sizeof(EntryRecord));
    for (size_t i = next; i < end; ++i) {
      const SlotEntry& e = entries[i];
      const SamplingParams& p = e.sampling;
      auto& record = reinterpret_cast<EntryRecord*>(staging)[i - next];
      const auto put = [&](const void* from, size_t count) {
        const int64_t offset = at;
        std::memcpy(staging + at, from, count * 4);
        at += rounded(count * 4);
        return offset;
      };
      record = {.slot = e.slot,
                .num_tokens = static_cast<int32_t>(e.tokens.size()),
                .num_blocks = static_cast<int32_t>(e.blocks.size()),
                .num_bias = static_cast<int32_t>(p.logit_bias.size()),
                .sampling = {.temperature = p.temperature,
                             .top_p = p.top_p,
                             .min_p = p.min_p,
                             .repetition_penalty = p.repetition_penalty,
                             .presence_penalty = p.presence_penalty,
                             .frequency_penalty = p.frequency_penalty,
                             .seed = p.seed,
                             .top_k = p.top_k,
                             .min_tokens = p.min_tokens,
                             .num_prompt_tokens = e.num_prompt_tokens,
                             .num_logprobs = p.num_logprobs.value_or(-1),
                             .num_bias = static_cast<int32_t>(p.logit_bias.size()),
                             .num_stop_ids = static_cast<int32_t>(p.stop_token_ids.size())}};
      std::copy(p.stop_token_ids.begin(), p.stop_token_ids.end(), record.sampling.stop_ids);
      record.tokens_offset = put(e.tokens.data(), e.tokens.size());
      record.blocks_offset = put(e.blocks.data(), e.blocks.size());
      std::vector<TokenId> ids;
      std::vector<float> values;
      for (const auto& [id, value] : p.logit_bias) {
        ids.push_back(id);
        values.push_back(value);
      }
      record.bias_ids_offset = put(ids.data(), ids.size());
      record.bias_values_offset = put(values.data(), values.size());
    }
    CheckOrDie(
        cudaMemcpyAsync(device_staging_, staging, at, cudaMemcpyHostToDevice, ops_->stream()),
        "entering slots");
    CheckOrDie(
        EnterSlots(device_staging_, static_cast<int>(end - next), slot_state_, ops_->stream()),
        "entering slots");
    next = end;
  }
}

// Everything of a step but where its record comes from. `num_rows` and `num_tokens`
// count padding.
void CudaBackend::Launch(const StepRecord& record, const char* records, const uint64_t* step,
                         int num_rows, int num_tokens) {
  cudaStream_t stream = ops_->stream();
  CheckOrDie(PrepareStep({.shape = record_shape_,
                          .records = records,
                          .step = step,
                          .slots = slot_state_,
                          .batch = arrays_,
                          .num_rows = num_rows,
                          .num_tokens = num_tokens},
                         stream),
             "preparing a step");
  const ops::Batch batch = {
      .num_tokens = num_tokens,
      .num_rows = num_rows,
      .num_single_rows = record.num_single_rows,
      .max_row_tokens = num_tokens,
      .num_logits = record.num_logits,
      .token_ids = arrays_.token_ids,
      .positions = arrays_.positions,
      .row_starts = arrays_.row_starts,
      .block_starts = arrays_.block_starts,
      .blocks = slot_state_.blocks,
      .logit_tokens = arrays_.logit_tokens,
      .single_block_sums = arrays_.single_block_sums,
  };
  const at::Tensor logits = model_->Forward(batch, kv_);
  if (absl::Status s = ops_->error(); !s.ok()) Die(std::string(s.message()));
  if (record.num_logits > 0) {
    CheckOrDie(ops::cuda::Sample({.logits = logits.const_data_ptr<float>(),
                                  .vocab_stride = logits.size(1),
                                  .vocab_size = limits_.vocab_size,
                                  .num_rows = record.num_logits,
                                  .row_slots = arrays_.logit_slots,
                                  .slots = slot_state_.sampling,
                                  .bias_ids = slot_state_.bias_ids,
                                  .bias_values = slot_state_.bias_values,
                                  .tokens = slot_state_.tokens,
                                  .token_stride = slot_state_.token_stride,
                                  .num_tokens = slot_state_.num_tokens,
                                  .ring = answers_.data(),
                                  .ring_steps = kStepRing,
                                  .rows_per_step = limits_.max_rows,
                                  .step = device_step_},
                                 stream),
               "sampling");
  }
  CheckOrDie(FinishStep(device_step_, done_.data(), stream), "finishing a step");
}

void CudaBackend::LaunchEagerly(const StepRecord& record) {
  const int64_t bytes = record_shape_.new_blocks_offset() +
                        int64_t{record.num_new_blocks} * static_cast<int64_t>(sizeof(NewBlock));
  CheckOrDie(
      cudaMemcpyAsync(device_record_, &record, bytes, cudaMemcpyHostToDevice, ops_->stream()),
      "copying a step");
  Launch(record, device_record_, /*step=*/nullptr, record.num_rows, record.num_tokens);
}

// The smallest captured step that holds this one; null: there is none.
cudaGraphExec_t CudaBackend::GraphFor(const StepRecord& record) const {
  const int rows = record.num_rows;
  if (record.num_single_rows != rows || record.num_logits != rows) return nullptr;
  for (const auto& [size, graph] : graphs_) {
    if (size >= rows) return graph.get();
  }
  return nullptr;
}

absl::Status CudaBackend::CaptureGraphs() {
  cudaStream_t stream = ops_->stream();
  for (int size : GraphSizes(limits_.max_rows)) {
    const StepRecord record = {
        .num_rows = size, .num_single_rows = size, .num_tokens = size, .num_logits = size};
    // Relaxed: kernels that were not needed yet are loaded on the way.
    CheckOrDie(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "capturing a step");
    Launch(record, records_.data(), device_step_, size, size);
    cudaGraph_t captured = nullptr;
    CheckOrDie(cudaStreamEndCapture(stream, &captured), "capturing a step");
    cudaGraphExec_t graph = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&graph, captured, 0);
    cudaGraphDestroy(captured);
    if (error != cudaSuccess) {
      return absl::InternalError(absl::StrCat("instantiating the graph of a step of ", size,
                                              " rows: ", cudaGetErrorString(error)));
    }
    graphs_.emplace_back(size, graph);
    CheckOrDie(cudaGraphUpload(graph, stream), "uploading a graph");
  }
  CheckOrDie(cudaStreamSynchronize(stream), "capturing steps");
  return absl::OkStatus();
}

absl::StatusOr<StepResult> CudaBackend::Await() {
  StepInFlight& step = in_flight_[num_awaited_ % kStepRing];
  StepResult result = {.step_id = step.step_id};
  result.rows.resize(step.logit_rows.size());
  if (step.is_launched) {
    WaitFor(step.count);
    const SteadyClock::time_point now = SteadyClock::now();
    result.forward_us = std::chrono::duration_cast<std::chrono::microseconds>(
                            now - std::max(step.begun, last_done_))
                            .count();
    last_done_ = now;
    const SampledRow* answers =
        answers_.data() + step.count % kStepRing * static_cast<uint64_t>(limits_.max_rows);
    for (size_t i = 0; i < step.logit_rows.size(); ++i) {
      if (step.logit_rows[i] < 0) continue;
      result.rows[i] = ReadAnswer(answers[step.logit_rows[i]], step.wants_logprobs[i]);
    }
  }
  ++num_awaited_;
  return result;
}

RowResult CudaBackend::ReadAnswer(const SampledRow& answer, bool wants_logprobs) const {
  if (answer.token < 0) return {.status = RowStatus::kNonFinite, .tokens = {}, .logprobs = {}};
  RowResult row = {.tokens = {answer.token}, .logprobs = {}};
  if (wants_logprobs) {
    row.logprobs.push_back(
        {.logprob = answer.logprob,
         .top_tokens = {answer.top_ids, answer.top_ids + answer.num_top},
         .top_logprobs = {answer.top_logprobs, answer.top_logprobs + answer.num_top}});
  }
  return row;
}

// A step takes a millisecond or more, and the device goes on without us: short naps
// cost nothing but their own length, which the next step hides.
void CudaBackend::WaitFor(uint64_t count) const {
  constexpr auto kNap = std::chrono::microseconds(5);
  constexpr auto kCheckEvery = std::chrono::milliseconds(20);
  const std::atomic_ref<uint64_t> done(const_cast<uint64_t&>(done_.data()[count % kStepRing]));
  SteadyClock::time_point next_check = SteadyClock::now() + kCheckEvery;
  while (done.load(std::memory_order_acquire) != count + 1) {
    std::this_thread::sleep_for(kNap);
    if (SteadyClock::now() < next_check) continue;
    const cudaError_t error = cudaStreamQuery(ops_->stream());
    if (error != cudaErrorNotReady) CheckOrDie(error, "running a step");
    next_check = SteadyClock::now() + kCheckEvery;
  }
}

void CudaBackend::Reset() {
  CheckOrDie(cudaStreamSynchronize(ops_->stream()), "running a step");
  num_awaited_ = num_begun_;
  slots_.Reset();
}

// ---- loading ----

struct Gpu {
  std::string name;
  int64_t total_bytes = 0;
  int64_t free_bytes = 0;
};

absl::StatusOr<Gpu> QueryGpu() {
  cudaDeviceProp properties;
  size_t free_bytes = 0, total_bytes = 0;
  if (auto e = cudaSetDevice(0); e != cudaSuccess) {
    return absl::UnavailableError(absl::StrCat("no GPU: ", cudaGetErrorString(e)));
  }
  if (auto e = cudaGetDeviceProperties(&properties, 0); e != cudaSuccess) {
    return absl::UnavailableError(cudaGetErrorString(e));
  }
  if (auto e = cudaMemGetInfo(&free_bytes, &total_bytes); e != cudaSuccess) {
    return absl::UnavailableError(cudaGetErrorString(e));
  }
  return Gpu{.name = properties.name,
             .total_bytes = static_cast<int64_t>(total_bytes),
             .free_bytes = static_cast<int64_t>(free_bytes)};
}

absl::Status FillWeights(const Qwen2& model, const OpenedModel& opened,
                         const ModelBackendOptions& options) {
  std::vector<UploadItem> items;
  for (const TensorSpec& spec : Qwen2Tensors(opened.config)) {
    items.push_back({.tensor = spec,
                     .dtype = opened.dtype,
                     .target = model.places().at(spec.name).mutable_data_ptr()});
  }
  if (options.load_format == "dummy") return UploadDummyWeights(items);
  return UploadWeights(*opened.source, items, {.on_progress = options.on_progress});
}

// The pool is one allocation: layer by layer, block by block.
std::vector<ops::KvLayer> MakeKv(CudaOps& ops, const ModelConfig& config, int64_t layer_bytes) {
  auto* pool = static_cast<char*>(ops.memory().Take(layer_bytes * config.num_layers));
  std::vector<ops::KvLayer> kv;
  for (int i = 0; i < config.num_layers; ++i) kv.push_back({.keys = pool + i * layer_bytes});
  return kv;
}

// Memory by slot and by row that is taken behind the KV pool's planning.
int64_t StateBytes(const ModelBackendOptions& options, int64_t context) {
  const int64_t rows = options.max_num_seqs;
  return rows * (context * 4 + BlocksFor(static_cast<int>(context)) * 4 +
                 ops::cuda::kMaxBiasEntries * 8 + 4096) +
         int64_t{options.max_num_batched_tokens} * 8 + context * 8 + (int64_t{64} << 20);
}

}  // namespace

absl::Status GpuIsUsable() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return absl::UnavailableError(absl::StrCat("no usable GPU: ", cudaGetErrorString(error)));
  }
  return count > 0 ? absl::OkStatus() : absl::UnavailableError("no GPU");
}

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const ModelBackendOptions& options,
                                                         LoadFacts& facts) {
  Stopwatch watch;
  const auto gpu = QueryGpu();  // makes CUDA's context, the longest part of it
  if (!gpu.ok()) return gpu.status();
  facts.device = absl::StrCat("cuda:0 ", gpu->name);
  facts.memory_total_bytes = gpu->total_bytes;
  facts.memory_available_bytes = gpu->free_bytes;
  facts.device_seconds = watch.LapSeconds();

  auto opened = OpenModel(options, {.has_bfloat16 = true, .has_float16 = true}, facts);
  if (!opened.ok()) return opened.status();
  const ModelConfig& config = opened->config;
  const bool is_fp8 = options.kv_cache_dtype == "fp8";
  if (is_fp8 && opened->dtype == DType::kFloat32) {
    return absl::InvalidArgumentError(
        "--kv-cache-dtype fp8 is for 16-bit models, not --dtype float32");
  }
  if (config.head_dim != 64 && config.head_dim != 128) {
    return absl::InvalidArgumentError(absl::StrCat(
        "heads of ", config.head_dim, " dimensions: the GPU's kernels know 64 and 128"));
  }
  facts.files_seconds = watch.LapSeconds();

  if (opened->weight_bytes() > gpu->free_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the weights take ", opened->weight_bytes() >> 20, " MiB in ", facts.dtype,
                     "; ", gpu->free_bytes >> 20, " MiB of ", gpu->name, " are free"));
  }
  const ops::HeadShape heads = {config.num_heads, config.num_kv_heads, config.head_dim};
  auto ops = CudaOps::Create(
      {.shape = {.max_tokens = options.max_num_batched_tokens,
                 .max_logits = options.max_num_seqs,
                 .hidden_size = config.hidden_size,
                 .intermediate_size = config.intermediate_size,
                 .dtype = TorchType(opened->dtype)},
       .heads = heads,
       .dtype = opened->dtype,
       .kv_format = is_fp8 ? ops::cuda::KvFormat::kFp8 : ops::cuda::KvFormat::kSameAsModel,
       .rope_theta = config.rope_theta,
       .max_single_rows = options.max_num_seqs,
       .gemm_table_path = options.gemm_table_path});
  if (!ops.ok()) return ops.status();
  facts.device_details = absl::StrCat((*ops)->num_sms(), " multiprocessors");
  auto model = std::make_unique<Qwen2>(
      config, opened->dtype, StepLimits{options.max_num_batched_tokens, options.max_num_seqs},
      **ops);
  facts.device_seconds += watch.LapSeconds();
  if (auto s = FillWeights(*model, *opened, options); !s.ok()) return s;
  facts.weight_bytes = model->weight_bytes();
  facts.scratch_bytes = (*ops)->scratch_bytes();
  facts.weights_seconds = watch.LapSeconds();

  if (auto s = (*ops)->Tune(config.qkv_size(), config.vocab_size); !s.ok()) return s;
  facts.tuning_seconds = watch.LapSeconds();

  const auto now = QueryGpu();
  if (!now.ok()) return now.status();
  const int context =
      options.max_model_len > 0 ? options.max_model_len : config.max_position_embeddings;
  const int64_t others = StateBytes(options, context) + kReservedBytes;
  const auto allowed =
      static_cast<int64_t>(options.memory_utilization * static_cast<double>(now->total_bytes));
  const int64_t taken = now->total_bytes - now->free_bytes;
  const int64_t tile_bytes = ops::cuda::KvTileBytes(
      config.head_dim, is_fp8 ? 1 : static_cast<int>(BytesOf(opened->dtype)));
  const int64_t block_bytes = tile_bytes * config.num_kv_heads;  // of one layer
  const auto plan = PlanKv({.bytes_per_block = block_bytes * config.num_layers,
                            .bytes = options.kv_bytes,
                            .spare_bytes = std::min(allowed - taken, now->free_bytes) - others,
                            .max_model_len = options.max_model_len,
                            .model_context = config.max_position_embeddings,
                            .max_num_seqs = options.max_num_seqs});
  if (!plan.ok()) return plan.status();
  std::vector<ops::KvLayer> kv = MakeKv(**ops, config, block_bytes * plan->num_blocks);
  facts.kv_bytes = plan->num_blocks * block_bytes * config.num_layers;
  facts.num_blocks = plan->num_blocks;
  facts.num_kv_tokens = int64_t{plan->num_blocks} * ops::kBlockTokens;
  facts.max_context_tokens = plan->max_context_tokens;
  const BackendLimits limits = {.num_blocks = plan->num_blocks,
                                .block_tokens = ops::kBlockTokens,
                                .max_rows = options.max_num_seqs,
                                .max_step_tokens = options.max_num_batched_tokens,
                                .max_steps_in_flight = kGpuStepsInFlight,
                                .max_context_tokens = plan->max_context_tokens,
                                .vocab_size = opened->vocab_size};
  if (auto e = ops::cuda::PrepareSampling(); e != cudaSuccess) {
    return absl::InternalError(absl::StrCat("preparing the sampler: ", cudaGetErrorString(e)));
  }
  auto backend = std::make_unique<CudaBackend>(*std::move(ops), std::move(model), std::move(kv),
                                               limits, opened->fingerprint, facts.device);
  facts.kv_seconds = watch.LapSeconds();

  if (auto s = RunCanary(*backend); !s.ok()) return s;
  facts.canary_seconds = watch.LapSeconds();
  if (options.capture_graphs) {
    if (auto s = backend->CaptureGraphs(); !s.ok()) return s;
  }
  facts.graphs_seconds = watch.LapSeconds();
  return backend;
}

}  // namespace weft::worker
