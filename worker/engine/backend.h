// What runs a step: the model on a device, or the simulated backend. The seam
// between the worker's gRPC side (worker/rpc) and everything that computes; no
// protobuf and no tensor crosses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/sampling.h"
#include "common/trace_context.h"

namespace weft::worker {

// A sequence as it enters a slot: new, preempted before, or from another worker.
struct SlotEntry {
  int slot = 0;
  std::vector<TokenId> tokens;  // every known id: prompt, then output
  int num_prompt_tokens = 0;
  int num_computed_tokens = 0;  // KV already written, in `blocks`
  std::vector<int> blocks;      // position p lives in blocks[p / block_tokens]
  SamplingParams sampling;
  SpanContext trace;  // of the request; for the log
};

// A row computes its slot's next `num_tokens` positions. It samples if that
// reaches the last token known to the slot or owed to it by earlier steps.
struct StepRow {
  int slot = 0;
  int num_tokens = 0;
  std::vector<int> new_blocks;  // appended to the slot's table first
};

// Applied in this order.
struct StepCommand {
  uint64_t step_id = 0;
  std::vector<int> released_slots;
  std::vector<SlotEntry> entries;
  std::vector<StepRow> rows;
};

struct TokenLogprobs {
  float logprob = 0;  // natural logarithm, as worker.proto defines it
  std::vector<TokenId> top_tokens;
  std::vector<float> top_logprobs;
};

// Of consecutive prompt tokens, as worker.proto defines it. Parallel lists.
struct PromptLogprobs {
  int first_position = 0;  // in the prompt
  std::vector<float> logprobs;
  std::vector<int> ranks;
  int num_top = 0;                  // alternatives a token
  std::vector<TokenId> top_tokens;  // [tokens, num_top], best first
  std::vector<float> top_logprobs;

  int size() const { return static_cast<int>(logprobs.size()); }
  bool operator==(const PromptLogprobs&) const = default;
};

enum class RowStatus { kOk, kNonFinite, kError, kGrammar };

struct RowResult {
  RowStatus status = RowStatus::kOk;
  std::vector<TokenId> tokens;          // 0..k sampled
  std::vector<TokenLogprobs> logprobs;  // as many as tokens if the slot asked, else empty
  PromptLogprobs prompt_logprobs;       // of what the row computed, if the slot asked
};

// A logit of it was NaN or infinite: nothing else is told.
inline RowResult NonFiniteRow() {
  RowResult row;
  row.status = RowStatus::kNonFinite;
  return row;
}

// Its grammar took more to follow than is allowed: nothing else is told.
inline RowResult GrammarFailedRow() {
  RowResult row;
  row.status = RowStatus::kGrammar;
  return row;
}

struct StepResult {
  uint64_t step_id = 0;
  std::vector<RowResult> rows;  // by position in the command
  bool is_captured = false;     // GPU: replayed from a graph
  int64_t queue_us = 0;
  int64_t forward_us = 0;
  int64_t sample_us = 0;
};

struct BackendLimits {
  int num_blocks = 0;
  int block_tokens = 16;
  int max_rows = 0;  // also the number of slots
  int max_step_tokens = 0;
  int max_steps_in_flight = 1;
  int max_context_tokens = 0;
  int vocab_size = 0;  // ids that a prompt may hold
};

// Steps are begun in order by one thread and awaited in order by one thread, which
// may be another: up to limits().max_steps_in_flight are begun and not yet awaited.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const BackendLimits& limits() const = 0;
  virtual const std::string& fingerprint() const = 0;
  virtual const std::string& device() const = 0;

  // Begins a step. InvalidArgument: the command breaks the contract (slot in use,
  // block out of range, too many rows); the backend is unchanged, and there is
  // nothing to await. Any other error: as below.
  virtual absl::Status Begin(const StepCommand& command) = 0;

  // Blocks until the oldest step begun is done. An error: it failed, every later one
  // with it, and only Reset helps. A non-finite row is no error: it is told in its
  // RowResult and leaves its neighbours alone.
  virtual absl::StatusOr<StepResult> Await() = 0;

  // Empties every slot, as after construction: the scheduler that owned them is
  // gone, or a step failed. What is begun and not awaited is forgotten. While no
  // other thread calls anything.
  virtual void Reset() = 0;

  // Both, for who has one step at a time.
  absl::StatusOr<StepResult> Execute(const StepCommand& command) {
    if (absl::Status begun = Begin(command); !begun.ok()) return begun;
    return Await();
  }
};

}  // namespace weft::worker
