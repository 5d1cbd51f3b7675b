// The core at one moment, for people to read: who runs where, who waits, and what for.
#pragma once

#include <string>
#include <vector>

#include "scheduler/core/events.h"
#include "scheduler/core/stats.h"
#include "scheduler/core/types.h"

namespace weft::core {

struct WorkerSnapshot {
  WorkerId id = 0;
  WorkerLimits limits;
  bool is_draining = false;
  int num_running = 0;
  int num_steps_in_flight = 0;
  int num_blocks_used = 0, num_blocks_cached = 0, num_blocks_free = 0;
  int64_t num_unscheduled_tokens = 0;  // of those that run: still to compute
  // Of a step with as many decodes: how many prompt tokens it would take along.
  int max_prompt_tokens = 0;
  // The first in the queue lacks so many blocks here; 0: it does not, or was not tried.
  int num_lacking_blocks = 0;
};

struct SequenceSnapshot {
  SequenceId id = 0;
  Phase phase = Phase::kWaiting;
  WorkerId worker = 0;  // that it runs on
  std::string tenant;
  int priority = 0;
  int num_prompt_tokens = 0;
  int num_output_tokens = 0;
  int max_tokens = 0;
  int num_computed_tokens = 0;
  int num_owed_tokens = 0;
  int num_cached_tokens = 0;
  int num_blocks = 0;
  int num_preemptions = 0;
  int num_losses = 0;  // of workers under it
  Micros deadline = kNever;
  SequenceTimes times;
};

struct Snapshot {
  std::vector<WorkerSnapshot> workers;      // in order of joining
  std::vector<SequenceSnapshot> sequences;  // those that run first, then in policy order
  int num_left_out = 0;                     // more sequences than were asked for
  Gauges gauges;
};

}  // namespace weft::core
