#include "worker/engine/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "worker/engine/cuda/die.h"
#include "worker/engine/precise_timers.h"
#include "worker/ops/cuda/cuda_status.h"
#include "worker/ops/cuda/device_features.h"

namespace weft::worker {
namespace {

using ops::BlocksFor;
using ops::cuda::CudaOps;
using ops::cuda::SampledRow;

// Masks of a full batch take some milliseconds of one core; the forward pass that hides
// them takes two or three.
int NumGrammarThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 1, 8);
}

// Sizes of captured steps: every small one; further up, the larger the wider apart.
std::vector<int> GraphSizes(int max_rows) {
  std::vector<int> sizes;
  for (int n = 1; n < max_rows; n += n < 8 ? 1 : n < 16 ? 2 : n < 64 ? 8 : n < 128 ? 16 : 32) {
    sizes.push_back(n);
  }
  sizes.push_back(max_rows);
  return sizes;
}

}  // namespace

CudaBackend::CudaBackend(std::unique_ptr<CudaOps> ops, std::unique_ptr<Qwen2> model,
                         std::vector<ops::KvLayer> kv, BackendLimits limits,
                         std::string fingerprint, std::string device, const std::string& model_dir)
    : ops_(std::move(ops)),
      model_(std::move(model)),
      kv_(std::move(kv)),
      limits_(limits),
      fingerprint_(std::move(fingerprint)),
      device_(std::move(device)),
      record_shape_{.max_rows = limits.max_rows,
                    .max_new_blocks = 2 * limits.max_rows + BlocksFor(limits.max_step_tokens) +
                                      BlocksFor(limits.max_context_tokens)},
      records_(kStepRing * record_shape_.bytes()),
      answers_(int64_t{kStepRing} * limits.max_rows),
      done_(kStepRing),
      masks_(int64_t{kStepRing} * limits.max_rows * MaskWords(limits.vocab_size)),
      mask_ready_(int64_t{kStepRing} * limits.max_rows),
      entries_(limits.max_context_tokens, ops_->memory()),
      prompt_pass_(limits, ops_->memory()),
      slots_(limits),
      grammars_(model_dir, limits.max_rows, NumGrammarThreads()) {
  ops::cuda::DeviceMemory& memory = ops_->memory();
  const auto ints = [&](int64_t count) {
    return static_cast<int32_t*>(memory.TakeZeroed(count * sizeof(int32_t)));
  };
  const int64_t rows = limits.max_rows, tokens = limits.max_step_tokens;
  slot_state_ = {.token_stride = limits.max_context_tokens + 1,
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
  device_step_ = static_cast<uint64_t*>(memory.TakeZeroed(sizeof(uint64_t)));
  std::memset(done_.data(), 0, kStepRing * sizeof(uint64_t));
  std::memset(mask_ready_.data(), 0, kStepRing * rows * sizeof(uint64_t));
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
  step.is_captured = false;
  step.begun = SteadyClock::now();
  grammars_.Enter(command);
  if (!command.entries.empty()) {
    entries_.Enter(command.entries, num_launched_, slot_state_, ops_->stream());
  }
  if (rows->empty()) {
    step.logit_rows.clear();
    step.grammars.clear();
    // The staging area may be written again for the next step.
    if (!command.entries.empty()) {
      CheckOrDie(cudaStreamSynchronize(ops_->stream()), "entering slots");
    }
    return absl::OkStatus();
  }
  const StepRecord& record = WriteRecord(command, *rows, step);
  ++num_launched_;
  cudaGraphExec_t graph = step.prompt_rows.rows.empty() ? GraphFor(record) : nullptr;
  step.is_captured = graph != nullptr;
  if (graph != nullptr) {
    CheckOrDie(cudaGraphLaunch(graph, ops_->stream()), "launching a step");
  } else {
    LaunchEagerly(record, step);
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
  step.grammars.assign(rows.size(), nullptr);
  step.prompt_rows = {};
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
    if (row.samples && grammars_.of(row.slot)) {
      step.grammars[i] = grammars_.of(row.slot);
      step.grammars[i]->Want(MaskOf(step.count, to.logit_row));
    }
    if (row.num_prompt_logprobs > 0) {
      prompt_pass_.Add(static_cast<int>(i), row, slot, record.num_tokens, step.count,
                       step.prompt_rows);
    }
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

MaskTarget CudaBackend::MaskOf(uint64_t count, int logit_row) {
  const int64_t place = static_cast<int64_t>(count % kStepRing) * limits_.max_rows + logit_row;
  const int words = MaskWords(limits_.vocab_size);
  return {.words = {masks_.data() + place * words, static_cast<size_t>(words)},
          .ready = mask_ready_.data() + place,
          .value = count + 1};
}

// Everything of a step but where its record comes from. `num_rows` and `num_tokens`
// count padding.
void CudaBackend::Launch(const StepRecord& record, const char* records, const uint64_t* step,
                         int num_rows, int num_tokens, const StepInFlight* prompts) {
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
                                  .masks = masks_.data(),
                                  .mask_stride = MaskWords(limits_.vocab_size),
                                  .mask_ready = mask_ready_.data(),
                                  .ring = answers_.data(),
                                  .ring_steps = kStepRing,
                                  .rows_per_step = limits_.max_rows,
                                  .step = device_step_},
                                 ops::cuda::CurrentDevice(), stream),
               "sampling");
  }
  if (prompts != nullptr && !prompts->prompt_rows.rows.empty()) {
    prompt_pass_.Launch(prompts->prompt_rows, prompts->count, batch, *model_, *ops_);
  }
  CheckOrDie(FinishStep(device_step_, done_.data(), stream), "finishing a step");
}

void CudaBackend::LaunchEagerly(const StepRecord& record, const StepInFlight& step) {
  const int64_t bytes = record_shape_.new_blocks_offset() +
                        int64_t{record.num_new_blocks} * static_cast<int64_t>(sizeof(NewBlock));
  CheckOrDie(
      cudaMemcpyAsync(device_record_, &record, bytes, cudaMemcpyHostToDevice, ops_->stream()),
      "copying a step");
  Launch(record, device_record_, /*step=*/nullptr, record.num_rows, record.num_tokens, &step);
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
      return ops::cuda::CudaStatus(
          error, absl::StrCat("instantiating the graph of a step of ", size, " rows"));
    }
    graphs_.emplace_back(size, graph);
    CheckOrDie(cudaGraphUpload(graph, stream), "uploading a graph");
  }
  CheckOrDie(cudaStreamSynchronize(stream), "capturing steps");
  return absl::OkStatus();
}

absl::StatusOr<StepResult> CudaBackend::Await() {
  StepInFlight& step = in_flight_[num_awaited_ % kStepRing];
  StepResult result = {.step_id = step.step_id, .is_captured = step.is_captured};
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
      if (const auto& grammar = step.grammars[i]) {
        if (grammar->failed()) result.rows[i] = GrammarFailedRow();
        const auto& tokens = result.rows[i].tokens;
        grammar->Sampled(tokens.empty() ? std::nullopt : std::optional(tokens[0]));
      }
    }
    prompt_pass_.Read(step.prompt_rows, step.count, result.rows);
  }
  ++num_awaited_;
  return result;
}

RowResult CudaBackend::ReadAnswer(const SampledRow& answer, bool wants_logprobs) const {
  if (answer.token < 0) return NonFiniteRow();
  RowResult row;
  row.tokens = {answer.token};
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
  UsePreciseTimers();
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

void CudaBackend::AbandonGrammars() {
  for (StepInFlight& step : in_flight_) {
    for (const auto& grammar : step.grammars) {
      if (grammar) grammar->Abandon();
    }
    step.grammars.clear();
  }
  grammars_.Reset();
}

void CudaBackend::Reset() {
  AbandonGrammars();
  CheckOrDie(cudaStreamSynchronize(ops_->stream()), "running a step");
  num_awaited_ = num_begun_;
  slots_.Reset();
}

}  // namespace weft::worker
