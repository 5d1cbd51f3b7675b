// A worker without a model, whose KV can be checked. Each position of each block
// remembers the chain of tokens that its KV stands for, so that a row notices
// when it attends to anything but its own sequence's past: a block granted
// twice, published before it was computed, or matched by mistake.
//
// A request is known by its sampling seed, and samples SimulatedToken; so a token
// that goes astray is noticed by whoever gets it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/core/events.h"
#include "scheduler/core/step.h"
#include "sim/step_time.h"

namespace weft::sim {

// The token at an output index of a request; see SimulatedToken. Stop ids are
// masked before min_tokens, as a worker does.
TokenId ExpectedToken(const SamplingParams& sampling, int output_index, int vocab_size);
// Likewise its logprob, and that of a prompt's token.
float ExpectedLogprob(uint64_t request, int output_index);
float ExpectedPromptLogprob(uint64_t request, int position);

// A step as it travels: what core::Step points to, copied.
struct SentStep {
  struct Entry {
    int slot = 0;
    std::vector<TokenId> tokens;
    int num_prompt_tokens = 0;
    int num_computed_tokens = 0;
    std::vector<int> blocks;
    SamplingParams sampling;
  };
  uint64_t step_id = 0;
  std::vector<int> released_slots;
  std::vector<Entry> entries;
  std::vector<core::StepRow> rows;
  std::vector<int> new_blocks;

  SentStep() = default;
  explicit SentStep(const core::Step& step);
};

struct StepAnswer {
  uint64_t step_id = 0;
  std::vector<core::RowResult> rows;
  std::vector<TokenId> tokens;
  std::vector<uint64_t> requests;  // by row
  std::vector<int> begins, ends;   // by row: the positions it computed
  // By row: of the token that it samples, and whether its logprob is wanted.
  std::vector<int> output_indexes;
  std::vector<bool> wants_logprob;
  // By row: of so many prompt positions from begin + 1 on logprobs are wanted.
  std::vector<int> num_prompt_logprobs;
  StepLoad load;
};

// What goes wrong inside a worker.
struct ModelFaults {
  // A row of these requests that samples the given output index or a later one
  // writes KV that is not finite, in whatever else it computes too.
  std::set<uint64_t> poisoned_requests;
  // A row that samples for one of these ends the worker.
  std::set<uint64_t> killer_requests;
  int fault_output_index = 0;
};

class ModelWorker {
 public:
  ModelWorker(const core::WorkerLimits& limits, const ModelFaults& faults);

  // nullopt: the worker has died of it. Steps in order.
  std::optional<StepAnswer> Execute(const SentStep& step);

  // The first breach of contract by the scheduler, or of KV; empty: none.
  const std::string& violation() const { return violation_; }

 private:
  struct Slot {
    bool in_use = false;
    std::vector<TokenId> tokens;  // known, and those sampled here
    int num_prompt_tokens = 0;
    int num_computed_tokens = 0;
    std::vector<int> blocks;
    SamplingParams sampling;
    bool wants_prompt_logprobs = false;  // it entered without output
  };
  static constexpr uint64_t kNotFinite = ~uint64_t{0};

  void Enter(const SentStep::Entry& entry);
  uint64_t& KvAt(const Slot& slot, int position);
  bool Require(bool condition, const char* rule, uint64_t request);

  const core::WorkerLimits limits_;
  const ModelFaults faults_;
  std::vector<Slot> slots_;
  std::vector<uint64_t> kv_;  // by block and position in it: the chain of tokens up to there
  std::string violation_;
};

}  // namespace weft::sim
