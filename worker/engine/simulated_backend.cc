#include "worker/engine/simulated_backend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "worker/engine/precise_timers.h"
#include "worker/engine/prompt_logprobs.h"
#include "worker/engine/slot_table.h"

namespace weft::worker {
namespace {

using Clock = std::chrono::steady_clock;

class SimulatedBackend final : public Backend {
 public:
  SimulatedBackend(const SimulatedOptions& options, const sim::GpuRoofline& gpu,
                   const BackendLimits& limits)
      : gpu_(gpu),
        shape_(options.shape),
        speed_(options.speed),
        limits_(limits),
        fingerprint_(absl::StrCat("model=", options.model_name,
                                  ";backend=simulated;vocab_size=", options.vocab_size)),
        device_(absl::StrCat("simulated ", std::string(gpu.name))),
        slots_(limits) {}

  const BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& device() const override { return device_; }
  absl::Status Begin(const StepCommand& command) override;
  absl::StatusOr<StepResult> Await() override;
  void Reset() override {
    slots_.Reset();
    open_.clear();
    free_at_ = {};
  }

 private:
  sim::StepLoad LoadOf(const std::vector<StepRowPlan>& rows) const;
  RowResult Sample(const Slot& slot) const;
  PromptLogprobs FlatPromptLogprobs(const StepRowPlan& row) const;

  const sim::GpuRoofline& gpu_;
  const sim::ModelShape shape_;
  const double speed_;
  const BackendLimits limits_;
  const std::string fingerprint_;
  const std::string device_;
  SlotTable slots_;

  struct OpenStep {
    StepResult result;
    Clock::time_point started, done;  // a step runs once the one before it is done
  };
  std::mutex mutex_;  // one thread begins, another awaits
  std::deque<OpenStep> open_;
  Clock::time_point free_at_;  // the last step begun is done
};

absl::Status SimulatedBackend::Begin(const StepCommand& command) {
  const Clock::time_point now = Clock::now();
  auto rows = slots_.Begin(command);
  if (!rows.ok()) return rows.status();
  const double seconds = sim::StepSeconds(gpu_, shape_, LoadOf(*rows)) / speed_;
  OpenStep step{.result = {.step_id = command.step_id, .rows = {}}};
  step.result.rows.reserve(rows->size());
  for (const StepRowPlan& row : *rows) {
    step.result.rows.push_back(row.samples ? Sample(slots_.slot(row.slot)) : RowResult{});
    if (row.num_prompt_logprobs > 0) {
      step.result.rows.back().prompt_logprobs = FlatPromptLogprobs(row);
    }
  }
  slots_.Finish(*rows, step.result.rows);
  std::lock_guard lock(mutex_);
  step.started = std::max(now, free_at_);
  step.done = step.started +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  free_at_ = step.done;
  open_.push_back(std::move(step));
  return absl::OkStatus();
}

absl::StatusOr<StepResult> SimulatedBackend::Await() {
  UsePreciseTimers();
  std::unique_lock lock(mutex_);
  OpenStep step = std::move(open_.front());
  open_.pop_front();
  lock.unlock();
  std::this_thread::sleep_until(step.done);
  step.result.forward_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - step.started).count();
  return std::move(step.result);
}

sim::StepLoad SimulatedBackend::LoadOf(const std::vector<StepRowPlan>& rows) const {
  sim::StepLoad load;
  for (const StepRowPlan& row : rows) load.AddRow(row.first_position, row.num_tokens, row.samples);
  return load;
}

// A distribution as flat as the hash: every token has the same probability.
RowResult SimulatedBackend::Sample(const Slot& slot) const {
  const SamplingParams& sampling = slot.sampling.params();
  const int vocab_size = limits_.vocab_size;
  const TokenId token = SimulatedOutput(sampling, slot.sampling.num_output_tokens(), vocab_size);
  RowResult row{.tokens = {token}, .logprobs = {}, .prompt_logprobs = {}};
  if (sampling.num_logprobs) {
    const float logprob = -std::log(static_cast<float>(vocab_size));
    TokenLogprobs logprobs{.logprob = logprob, .top_tokens = {}, .top_logprobs = {}};
    for (int i = 0; i < std::min(*sampling.num_logprobs, vocab_size); ++i) {
      logprobs.top_tokens.push_back(i);
      logprobs.top_logprobs.push_back(logprob);
    }
    row.logprobs.push_back(std::move(logprobs));
  }
  return row;
}

PromptLogprobs SimulatedBackend::FlatPromptLogprobs(const StepRowPlan& row) const {
  const Slot& slot = slots_.slot(row.slot);
  PromptLogprobs logprobs = MakePromptLogprobs(
      row.first_position + 1, row.num_prompt_logprobs,
      slot.sampling.params().num_prompt_logprobs.value_or(0), limits_.vocab_size);
  for (int i = 0; i < row.num_prompt_logprobs; ++i) {
    logprobs.ranks[i] = slot.tokens[logprobs.first_position + i] + 1;
    for (int k = 0; k < logprobs.num_top; ++k) logprobs.top_tokens[i * logprobs.num_top + k] = k;
  }
  const float logprob = -std::log(static_cast<float>(limits_.vocab_size));
  std::fill(logprobs.logprobs.begin(), logprobs.logprobs.end(), logprob);
  std::fill(logprobs.top_logprobs.begin(), logprobs.top_logprobs.end(), logprob);
  return logprobs;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeSimulatedBackend(const SimulatedOptions& options) {
  const sim::GpuRoofline* gpu = sim::FindGpu(options.gpu);
  if (gpu == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no simulated GPU is called ", options.gpu));
  }
  if (!(options.speed > 0)) return absl::InvalidArgumentError("the speed must be above 0");
  if (options.vocab_size <= kMaxStopTokens) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a vocabulary of ", options.vocab_size, " ids; stop tokens alone may be ", kMaxStopTokens));
  }
  const double kv_bytes = options.kv_bytes > 0
                              ? static_cast<double>(options.kv_bytes)
                              : sim::KvBytes(*gpu, options.shape, options.memory_utilization);
  BackendLimits limits;
  const double num_blocks = sim::BlocksInBytes(options.shape, limits.block_tokens, kv_bytes);
  if (num_blocks < 1) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for KV: the weights take ", sim::WeightBytes(options.shape) / 1e9,
                     " GB of the ", std::string(gpu->name), "'s ", gpu->memory_bytes / 1e9, " GB"));
  }
  // Of a tiny model a large GPU would hold more than any scheduler ever meets.
  constexpr double kMostBlocks = 4'000'000;
  limits.num_blocks = static_cast<int>(std::min(num_blocks, kMostBlocks));
  limits.max_rows = options.max_num_seqs;
  limits.max_step_tokens = options.max_num_batched_tokens;
  limits.max_steps_in_flight = 2;
  limits.max_context_tokens = static_cast<int>(std::min<int64_t>(
      options.max_context_tokens, int64_t{limits.num_blocks} * limits.block_tokens));
  limits.vocab_size = options.vocab_size;
  return std::make_unique<SimulatedBackend>(options, *gpu, limits);
}

TokenId SimulatedOutput(const SamplingParams& sampling, int output_index, int vocab_size) {
  TokenId token = sim::SimulatedToken(0, sampling.seed, output_index, vocab_size);
  const auto& stops = sampling.stop_token_ids;
  while (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    token = (token + 1) % vocab_size;
  }
  return token;
}

}  // namespace weft::worker
