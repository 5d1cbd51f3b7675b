// What the worker remembers of its sequences between steps: a slot each. Free of
// I/O, threads and tensors, so that a simulation can drive the real one.
//
//            entry   row                    released
// free       in use  –                      –
// in use     –       in use, further along  free
//
// – is InvalidArgument.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/sampling.h"
#include "worker/engine/backend.h"
#include "worker/engine/sampler.h"
#include "worker/ops/batch.h"

namespace weft::worker {

struct Slot {
  std::vector<TokenId> tokens;  // known here: prompt, then output
  int num_prompt_tokens = 0;
  int num_owed_tokens = 0;      // that steps begun and not finished will sample
  int num_computed_tokens = 0;  // by all steps begun
  std::vector<int> blocks;
  SamplingState sampling;
  // It asked for its prompt's logprobs, and entered without output.
  bool wants_prompt_logprobs = false;

  int num_known_or_owed() const { return static_cast<int>(tokens.size()) + num_owed_tokens; }
};

// A row of the step that was begun.
struct StepRowPlan {
  int slot = 0;
  int first_position = 0;
  int num_tokens = 0;
  bool samples = false;  // reaches the slot's last token, known or owed
  // So many of its first tokens' logits are wanted, for the prompt tokens behind them.
  int num_prompt_logprobs = 0;
};

class SlotTable {
 public:
  explicit SlotTable(const BackendLimits& limits);

  // Applies releases, entries, new blocks and rows; the rows are then to be computed.
  // InvalidArgument says what breaks the contract, and the table is unchanged: a slot
  // that is used or missing where it should not be, ids, blocks or counts out of
  // range, KV without a block, two rows that would write one block, more rows or
  // tokens than the limits.
  absl::StatusOr<std::vector<StepRowPlan>> Begin(const StepCommand& command);

  // What the rows of the oldest unfinished Begin have sampled becomes known. A device
  // that keeps tokens itself never says: they stay owed, and further steps begin.
  void Finish(const std::vector<StepRowPlan>& rows, const std::vector<RowResult>& results);

  void Reset();

  const Slot& slot(int index) const { return *slots_[index]; }
  int num_used() const;

 private:
  // A slot as the command would leave it; what Begin checks before it changes any.
  struct Preview {
    bool used = false;
    bool has_row = false;
    int num_known_or_owed = 0;
    int num_computed = 0;
    const std::vector<int>* blocks = nullptr;
  };

  absl::Status Check(const StepCommand& command);
  absl::Status CheckEntry(const SlotEntry& entry);
  absl::Status CheckRow(const StepRow& row);
  absl::Status CheckBlocks(const std::vector<int>& blocks) const;

  const BackendLimits limits_;
  std::vector<std::optional<Slot>> slots_;
  std::vector<Preview> previews_;           // scratch of Check
  std::vector<uint64_t> block_written_at_;  // by block: the last check it was in
  uint64_t num_checks_ = 0;
};

// The rows' arrays. `logit_tokens` is the last token of each row that samples.
ops::HostBatch MakeBatch(const SlotTable& slots, const std::vector<StepRowPlan>& rows);

}  // namespace weft::worker
