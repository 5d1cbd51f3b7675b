// The scheduler's real core among simulated clients and workers: one seed, one
// history. Requests arrive, share prompts, stop, are cancelled and concluded;
// pools are too small; workers answer late, die, drain, come back, or meet a
// request that breaks them; now and then the scheduler itself is replaced.
//
// Checked after every event: the core's own invariants (among them I1 and I2),
// each stream (I4: contiguous, every token the right one, one end, and an end
// that its cause explains), each row's KV (model_worker.h), and that a faulty
// request harms no other (I6). At the end: everybody has an answer, and no block
// is in use.
#pragma once

#include <cstdint>
#include <string>

namespace weft::sim {

struct SimulationReport {
  std::string violation;  // empty: all held
  int64_t num_events = 0;
  int64_t num_requests = 0;
  int64_t num_worker_losses = 0;
  int64_t num_scheduler_losses = 0;
  int64_t num_parked_seen = 0;  // events after which a sibling was waiting
  int64_t num_owed_seen = 0;    // likewise for a preempted one that is owed tokens
  int64_t num_ends[5] = {};     // by core::FinishReason
  int64_t num_errors_by_value = 0;
  int64_t num_errors_by_loss = 0;
  // Of the core's counters, over all schedulers of this history.
  int64_t num_steps = 0;
  int64_t num_preemptions = 0;
  int64_t num_requeued = 0;
  int64_t num_cached_tokens = 0;
  int64_t num_discarded_tokens = 0;
  int64_t num_prompt_rows = 0;  // answered rows of prompts whose logprobs are wanted

  void Add(const SimulationReport& other);
};

SimulationReport SimulateCore(uint64_t seed);

}  // namespace weft::sim
