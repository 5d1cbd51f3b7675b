// One sequence, from Submit to Finished.
//
//   its tokens:   |------ prompt ------|--- output ---|- owed -|
//                 |----------- known -----------------|
//                 |-- computed --|-- in flight --|
//                 |-------- scheduled -----------|
//
// Known tokens are those we can name: prompt, then output. Owed ones are sampled
// by steps in flight. A step moves scheduled toward known + owed; the row that
// reaches it samples, and owes one more.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/core/block_hash.h"
#include "scheduler/core/block_table.h"
#include "scheduler/core/events.h"
#include "scheduler/core/types.h"

namespace weft::core {

struct Worker;

// Who goes first, in the queue and in a batch; smaller is earlier.
struct PolicyKey {
  int priority = 0;
  uint64_t virtual_time = 0;  // of its tenant; see FairClock
  uint64_t arrival = 0;       // unlike any other sequence's, ever; from 1

  auto operator<=>(const PolicyKey&) const = default;
};

struct Sequence {
  // Fixed at submission.
  SequenceId id = 0;
  PolicyKey key;
  std::string tenant;
  SamplingParams sampling;
  int num_prompt_tokens = 0;
  int max_tokens = 0;
  Micros deadline = kNever;
  BlockHash root;
  SpanContext trace;

  // Grow with each delivered token.
  std::vector<TokenId> tokens;    // known: prompt, then output
  std::vector<BlockHash> hashes;  // of the first full blocks of `tokens`; none without a cache

  Phase phase = Phase::kWaiting;
  int num_owed_tokens = 0;

  // While running.
  Worker* worker = nullptr;
  uint32_t stay = 0;  // counts admissions: tells rows of this stay from earlier ones
  int slot = -1;
  bool entered = false;  // the worker has been told of it
  BlockTable table;
  int num_scheduled_tokens = 0;
  int num_computed_tokens = 0;
  int num_published_blocks = 0;
  int num_promised_blocks = 0;  // parked siblings may wait for those before
  int max_output_tokens = 0;    // max_tokens, or what fits on this worker

  // While parked.
  Worker* awaited_worker = nullptr;
  BlockHash awaited_block;
  int awaited_position = 0;  // its place among those who wait for it

  // Worker losses; see "suspects" in state.h.
  int num_losses = 0;
  bool is_suspect = false;
  int num_trial_tokens = 0;

  // What Finished tells.
  int num_cached_tokens = 0;
  int num_preemptions = 0;
  int max_computed_tokens = 0;  // over all stays
  SequenceTimes times;

  int num_known_tokens() const { return static_cast<int>(tokens.size()); }
  int num_output_tokens() const { return num_known_tokens() - num_prompt_tokens; }
  int num_unscheduled_tokens() const {
    return num_known_tokens() + num_owed_tokens - num_scheduled_tokens;
  }
  // Its prompt's logprobs are asked for and not all told: it computes its whole prompt.
  bool needs_prompt_logprobs() const {
    return sampling.num_prompt_logprobs.has_value() && num_output_tokens() == 0;
  }
  // Of its known tokens, those that a cached prefix can replace: whole blocks,
  // and never the last token, which has to be computed to sample the next.
  int num_matchable_blocks() const {
    if (needs_prompt_logprobs()) return 0;
    return std::min((num_known_tokens() - 1) / kBlockTokens, static_cast<int>(hashes.size()));
  }
};

struct EarlierInPolicy {
  bool operator()(const Sequence* a, const Sequence* b) const { return a->key < b->key; }
};

}  // namespace weft::core
