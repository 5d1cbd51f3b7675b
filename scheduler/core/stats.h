// What the core counts, for metrics. Counters only grow; gauges are as of now.
#pragma once

#include <cstdint>

#include "scheduler/core/types.h"

namespace weft::core {

struct Counters {
  // accepted = completed + failed + cancelled + the ones alive.
  int64_t num_accepted = 0;
  int64_t num_completed = 0;  // kStop, kLength
  int64_t num_failed = 0;     // kError, kTimeout
  int64_t num_cancelled = 0;
  int64_t num_rejected = 0;
  int64_t num_preemptions = 0;
  int64_t num_requeued = 0;  // sequences whose worker was lost or drained
  int64_t num_steps = 0;     // planned
  int64_t num_steps_lost = 0;
  // Prompt tokens by source, once per sequence, when it first runs.
  int64_t num_prompt_tokens_computed = 0;
  int64_t num_prompt_tokens_cached = 0;
  int64_t num_recomputed_tokens = 0;  // known before, computed again
  int64_t num_generated_tokens = 0;   // delivered to gateways
  int64_t num_discarded_tokens = 0;   // sampled behind a sequence's end
};

struct Gauges {
  int num_workers_ready = 0;
  int num_workers_draining = 0;
  int num_steps_in_flight = 0;
  int num_running = 0;
  // Waiting, by what for.
  int num_waiting_capacity = 0;  // a slot, blocks, or room in a step
  int num_waiting_prefix = 0;    // a running sibling computes its next block
  int num_waiting_owed = 0;      // preempted; samples still in flight
  int num_waiting_worker = 0;    // none is ready
  int num_waiting_trial = 0;     // its worker was lost; runs one at a time
  int64_t num_waiting_tokens = 0;
  int64_t num_blocks_total = 0;
  int64_t num_blocks_used = 0;
  int64_t num_blocks_cached = 0;
  int64_t num_blocks_free = 0;

  int num_waiting() const {
    return num_waiting_capacity + num_waiting_prefix + num_waiting_owed + num_waiting_worker +
           num_waiting_trial;
  }
};

}  // namespace weft::core
