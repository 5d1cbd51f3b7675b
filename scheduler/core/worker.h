// What the core knows of one attached worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/core/block_pool.h"
#include "scheduler/core/events.h"
#include "scheduler/core/sequence.h"
#include "scheduler/core/step_pace.h"

namespace weft::core {

// How a row's answer finds its sequence: through this record, never through the
// slot's present occupant.
struct RowRecord {
  Sequence* sequence = nullptr;
  uint64_t arrival = 0;  // unequal to the sequence's: that one is gone
  uint32_t stay = 0;     // unequal: it has left since, and its blocks are others'
  int end = 0;           // computed once this row is done
  bool samples = false;
};

struct StepRecord {
  uint64_t step_id = 0;
  std::vector<RowRecord> rows;
  int num_decode_rows = 0;
  int num_prompt_tokens = 0;  // of the other rows
};

// The steps sent and not answered, oldest first: a ring whose buffers stay.
class StepsInFlight {
 public:
  StepsInFlight(int max_steps, int max_rows) : ring_(max_steps) {
    for (StepRecord& record : ring_) record.rows.reserve(max_rows);
  }

  int size() const { return size_; }
  bool full() const { return size_ == static_cast<int>(ring_.size()); }
  StepRecord& at(int i) { return ring_[(first_ + i) % ring_.size()]; }
  const StepRecord& at(int i) const { return ring_[(first_ + i) % ring_.size()]; }

  StepRecord& PushEmpty() {
    StepRecord& record = at(size_++);
    record.rows.clear();
    record.num_decode_rows = record.num_prompt_tokens = 0;
    return record;
  }
  void DropNewest() { --size_; }
  void PopOldest() {
    first_ = (first_ + 1) % ring_.size();
    --size_;
  }

 private:
  std::vector<StepRecord> ring_;
  size_t first_ = 0;
  int size_ = 0;
};

// A full block of a running sequence that is being computed, and who is parked
// until it is published or given up.
struct PromisedBlock {
  Sequence* owner = nullptr;
  std::vector<Sequence*> waiters;
};

struct Worker {
  Worker(WorkerId worker_id, const WorkerLimits& worker_limits)
      : id(worker_id),
        limits(worker_limits),
        pool(worker_limits.num_blocks),
        in_flight(worker_limits.max_steps_in_flight, worker_limits.max_rows) {
    for (int slot = limits.max_rows - 1; slot >= 0; --slot) free_slots.push_back(slot);
    running.reserve(limits.max_rows);
    prefills.reserve(limits.max_rows);
  }

  // The longest sequence that can be here, alone.
  int capacity_tokens() const {
    return static_cast<int>(std::min<int64_t>(
        limits.max_context_tokens, static_cast<int64_t>(limits.num_blocks) * kBlockTokens));
  }
  int num_running() const { return static_cast<int>(running.size()); }

  const WorkerId id;
  const WorkerLimits limits;
  bool is_draining = false;

  BlockPool pool;  // outlives the tables of `running`
  absl::flat_hash_map<BlockHash, PromisedBlock> promised;

  std::vector<Sequence*> running;      // in policy order
  std::vector<int> free_slots;         // a stack
  std::vector<int> released_slots;     // the worker is told with its next step
  int64_t num_unscheduled_tokens = 0;  // sum over `running`
  Sequence* on_trial = nullptr;

  StepsInFlight in_flight;
  StepPace pace;
  uint64_t last_step_id = 0;

  std::vector<Sequence*> prefills;  // FillStep's; kept for its memory

  // The last candidate that did not fit, so that asking again costs nothing
  // until something that it lacked has come.
  struct {
    uint64_t arrival = 0;
    int num_matched_blocks = 0;
    int num_lacking_blocks = 0;
  } refused;
};

}  // namespace weft::core
