// A model on one NVIDIA GPU, behind Backend: two steps in flight, the host never
// between them.
//
//   Begin   checks the command, writes one packed record, launches: a captured graph
//           for a step of single tokens, kernel by kernel for any other. Waits for the
//           device only where sequences enter without a row, or with more ids than the
//           staging area holds.
//   Await   watches a word in pinned memory that the step's last kernel writes.
//
// What a sequence needs lies on the device by slot; the token that a step samples is
// read by the next one there, and the host learns of it later.
//
// An error of CUDA ends the process, with its cause in the log: after one nothing on
// the device can be trusted, and a new process is ready in seconds.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/engine/backend.h"
#include "worker/engine/cuda/entry_staging.h"
#include "worker/engine/cuda/pinned_memory.h"
#include "worker/engine/cuda/prompt_pass.h"
#include "worker/engine/cuda/step_state.h"
#include "worker/engine/grammar_masks.h"
#include "worker/engine/slot_table.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cuda/ops_cuda.h"
#include "worker/ops/cuda/sampling.h"

namespace weft::worker {

// Two: the device runs one step while the host plans the next.
inline constexpr int kGpuStepsInFlight = 2;
static_assert(kGpuStepsInFlight + 2 <= kStepRing, "a record is reused after it was awaited");

class CudaBackend final : public Backend {
 public:
  // `model` and `kv` lie in `ops`' memory, and so will the state of slots.
  CudaBackend(std::unique_ptr<ops::cuda::CudaOps> ops, std::unique_ptr<Qwen2> model,
              std::vector<ops::KvLayer> kv, BackendLimits limits, std::string fingerprint,
              std::string device, const std::string& model_dir);
  ~CudaBackend() override {
    AbandonGrammars();
    cudaStreamSynchronize(ops_->stream());
  }

  const BackendLimits& limits() const override { return limits_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& device() const override { return device_; }

  absl::Status Begin(const StepCommand& command) override;
  absl::StatusOr<StepResult> Await() override;
  void Reset() override;

  // Captures steps of single tokens, for every number of rows.
  absl::Status CaptureGraphs();

 private:
  using SteadyClock = std::chrono::steady_clock;

  // A step that was begun, as Await needs it.
  struct StepInFlight {
    uint64_t step_id = 0;
    uint64_t count = 0;  // the device's, of this step
    bool is_launched = false;
    bool is_captured = false;
    // By position in the command: the row of logits that answers it; -1: samples nothing.
    std::vector<int> logit_rows;
    std::vector<bool> wants_logprobs;
    // Likewise; null: no grammar.
    std::vector<std::shared_ptr<GrammarFollower>> grammars;
    PromptRows prompt_rows;
    SteadyClock::time_point begun;
  };

  struct GraphDeleter {
    void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
  };
  using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, GraphDeleter>;

  StepRecord& WriteRecord(const StepCommand& command, const std::vector<StepRowPlan>& rows,
                          StepInFlight& step);
  void Launch(const StepRecord& record, const char* records, const uint64_t* step, int num_rows,
              int num_tokens, const StepInFlight* prompts = nullptr);
  void LaunchEagerly(const StepRecord& record, const StepInFlight& step);
  cudaGraphExec_t GraphFor(const StepRecord& record) const;
  RowResult ReadAnswer(const ops::cuda::SampledRow& answer, bool wants_logprobs) const;
  void WaitFor(uint64_t count) const;
  MaskTarget MaskOf(uint64_t count, int logit_row);
  // No step waits for a mask any more.
  void AbandonGrammars();

  std::unique_ptr<ops::cuda::CudaOps> ops_;
  std::unique_ptr<Qwen2> model_;
  const std::vector<ops::KvLayer> kv_;
  const BackendLimits limits_;
  const std::string fingerprint_;
  const std::string device_;

  const StepRecordShape record_shape_;
  SlotState slot_state_;
  BatchArrays arrays_;
  char* device_record_ = nullptr;    // of an eager step
  uint64_t* device_step_ = nullptr;  // steps finished

  PinnedArray<char> records_;                   // [kStepRing] records
  PinnedArray<ops::cuda::SampledRow> answers_;  // [kStepRing, max rows]
  PinnedArray<uint64_t> done_;                  // [kStepRing]: FinishStep
  PinnedArray<uint32_t> masks_;                 // [kStepRing, max rows, MaskWords]
  PinnedArray<uint64_t> mask_ready_;            // [kStepRing, max rows]: as SampleArgs has it

  EntryStaging entries_;
  PromptPass prompt_pass_;
  std::vector<std::pair<int, Graph>> graphs_;  // by number of rows, ascending

  SlotTable slots_;  // the beginning thread's
  GrammarMasks grammars_;
  std::array<StepInFlight, kStepRing> in_flight_;
  uint64_t num_begun_ = 0;
  uint64_t num_launched_ = 0;  // as device_step_ will count
  std::atomic<uint64_t> num_awaited_{0};
  SteadyClock::time_point last_done_;  // the awaiting thread's
};

}  // namespace weft::worker
