// What always holds, counted again from the ground up. Costs as much as there is
// state: for tests and the simulation.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "scheduler/core/state.h"

// Ends the enclosing function with an Internal error that names the condition.
#define WEFT_HOLDS(condition, ...)                                                \
  if (!(condition)) {                                                             \
    return absl::InternalError(absl::StrCat("broken: " #condition, __VA_ARGS__)); \
  }

namespace weft::core {
namespace {

absl::Status CheckPool(const Worker& worker) {
  const BlockPool& pool = worker.pool;
  WEFT_HOLDS(pool.num_used() + pool.num_cached() + pool.num_free() == pool.num_blocks(), "");
  std::vector<int> num_owners(pool.num_blocks(), 0);
  for (const Sequence* sequence : worker.running) {
    const std::span<const int> ids = sequence->table.ids();
    WEFT_HOLDS(std::set<int>(ids.begin(), ids.end()).size() == ids.size(), " in ", sequence->id);
    for (size_t i = 0; i < ids.size(); ++i) {
      ++num_owners[ids[i]];
      if (!pool.index().Contains(ids[i])) continue;
      WEFT_HOLDS(static_cast<int>(i) < sequence->num_published_blocks, " in ", sequence->id);
      WEFT_HOLDS(pool.index().HashOf(ids[i]) == sequence->hashes[i], " in ", sequence->id);
    }
  }
  int num_used = 0, num_cached = 0;
  for (int block = 0; block < pool.num_blocks(); ++block) {
    WEFT_HOLDS(pool.num_owners(block) == num_owners[block], " of block ", block);
    // Two owners read; only who owns it alone may write.
    WEFT_HOLDS(num_owners[block] <= 1 || pool.index().Contains(block), " for block ", block);
    if (num_owners[block] > 0) {
      ++num_used;
    } else if (pool.index().Contains(block)) {
      ++num_cached;
    }
  }
  WEFT_HOLDS(num_used == pool.num_used(), "");
  WEFT_HOLDS(num_cached == pool.num_cached(), "");
  return absl::OkStatus();
}

absl::Status CheckBatch(const Worker& worker) {
  WEFT_HOLDS(worker.num_running() <= worker.limits.max_rows, "");
  WEFT_HOLDS(worker.free_slots.size() + worker.running.size() ==
                 static_cast<size_t>(worker.limits.max_rows),
             "");
  std::set<int> slots(worker.free_slots.begin(), worker.free_slots.end());
  int64_t num_unscheduled = 0;
  const Sequence* previous = nullptr;
  for (const Sequence* sequence : worker.running) {
    WEFT_HOLDS(sequence->worker == &worker && sequence->phase == Phase::kRunning, "");
    WEFT_HOLDS(previous == nullptr || previous->key < sequence->key, "");
    WEFT_HOLDS(slots.insert(sequence->slot).second, " slot ", sequence->slot);
    WEFT_HOLDS(!sequence->is_suspect || worker.on_trial == sequence, "");
    num_unscheduled += sequence->num_unscheduled_tokens();
    previous = sequence;
  }
  WEFT_HOLDS(static_cast<int>(slots.size()) == worker.limits.max_rows, "");
  WEFT_HOLDS(num_unscheduled == worker.num_unscheduled_tokens, "");
  return absl::OkStatus();
}

absl::Status CheckSequence(const Sequence& sequence) {
  const int num_known = sequence.num_known_tokens();
  WEFT_HOLDS(static_cast<int>(sequence.hashes.size()) <= num_known / kBlockTokens, "");
  WEFT_HOLDS(sequence.num_output_tokens() + sequence.num_owed_tokens <= sequence.max_output_tokens,
             " in ", sequence.id);
  if (sequence.phase != Phase::kRunning) {
    WEFT_HOLDS(sequence.table.size() == 0 && sequence.worker == nullptr, " in ", sequence.id);
    WEFT_HOLDS((sequence.num_owed_tokens > 0) == (sequence.phase == Phase::kOwed), " in ",
               sequence.id);
    return absl::OkStatus();
  }
  WEFT_HOLDS(sequence.num_computed_tokens <= sequence.num_scheduled_tokens, " in ", sequence.id);
  WEFT_HOLDS(sequence.num_scheduled_tokens < num_known + sequence.num_owed_tokens, " in ",
             sequence.id);
  WEFT_HOLDS(sequence.num_scheduled_tokens <= sequence.table.size() * kBlockTokens, " in ",
             sequence.id);
  WEFT_HOLDS(sequence.num_published_blocks * kBlockTokens <= sequence.num_computed_tokens, " in ",
             sequence.id);
  WEFT_HOLDS(num_known <= sequence.worker->capacity_tokens(), " in ", sequence.id);
  return absl::OkStatus();
}

}  // namespace

absl::Status State::CheckInvariants() const {
  std::map<const Sequence*, int> num_owed;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    for (const auto& check : {CheckPool, CheckBatch}) {
      if (absl::Status status = check(*worker); !status.ok()) return status;
    }
    for (int i = 0; i < worker->in_flight.size(); ++i) {
      for (const RowRecord& row : worker->in_flight.at(i).rows) {
        if (row.sequence->key.arrival == row.arrival && row.samples) ++num_owed[row.sequence];
      }
    }
  }

  int64_t num_alive = 0, num_waiting_tokens = 0, num_deadlines = 0;
  std::array<int, kNumPhases> num_in_phase = {};
  for (const Sequence& sequence : sequences_) {
    if (sequence.key.arrival == 0) continue;  // unused
    ++num_alive;
    ++num_in_phase[static_cast<int>(sequence.phase)];
    if (sequence.phase != Phase::kRunning) num_waiting_tokens += sequence.num_known_tokens();
    if (sequence.deadline != kNever) ++num_deadlines;
    if (absl::Status status = CheckSequence(sequence); !status.ok()) return status;
    WEFT_HOLDS(num_owed[&sequence] == sequence.num_owed_tokens, " in ", sequence.id);
    const auto id = by_id_.find(sequence.id);
    WEFT_HOLDS(id != by_id_.end() && id->second == &sequence, "");
    Sequence* it = id->second;
    WEFT_HOLDS(waiting_.contains(it) == (it->phase == Phase::kWaiting), " for ", it->id);
    WEFT_HOLDS(suspects_.contains(it) == (it->phase == Phase::kSuspect), " for ", it->id);
    if (it->phase == Phase::kParked) {
      const auto promised = it->awaited_worker->promised.find(it->awaited_block);
      WEFT_HOLDS(promised != it->awaited_worker->promised.end(), " for ", it->id);
      WEFT_HOLDS(promised->second.waiters[it->awaited_position] == it, " for ", it->id);
      WEFT_HOLDS(promised->second.owner->worker == it->awaited_worker, " for ", it->id);
    }
  }
  WEFT_HOLDS(num_in_phase == num_in_phase_, "");
  WEFT_HOLDS(num_waiting_tokens == num_waiting_tokens_, "");
  WEFT_HOLDS(num_alive == static_cast<int64_t>(by_id_.size()), "");
  WEFT_HOLDS(num_deadlines == static_cast<int64_t>(deadlines_.size()), "");
  WEFT_HOLDS(counters_.num_accepted == counters_.num_completed + counters_.num_failed +
                                           counters_.num_cancelled + num_alive,
             "");
  return absl::OkStatus();
}

}  // namespace weft::core
