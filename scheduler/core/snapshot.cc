#include "scheduler/core/snapshot.h"

#include <algorithm>

#include "scheduler/core/state.h"

namespace weft::core {
namespace {

SequenceSnapshot Describe(const Sequence& sequence) {
  return {
      .id = sequence.id,
      .phase = sequence.phase,
      .worker = sequence.phase == Phase::kRunning ? sequence.worker->id : 0,
      .tenant = sequence.tenant,
      .priority = sequence.key.priority,
      .num_prompt_tokens = sequence.num_prompt_tokens,
      .num_output_tokens = sequence.num_output_tokens(),
      .max_tokens = sequence.max_tokens,
      .num_computed_tokens = sequence.phase == Phase::kRunning ? sequence.num_computed_tokens : 0,
      .num_owed_tokens = sequence.num_owed_tokens,
      .num_cached_tokens = sequence.num_cached_tokens,
      .num_blocks = sequence.table.size(),
      .num_preemptions = sequence.num_preemptions,
      .num_losses = sequence.num_losses,
      .deadline = sequence.deadline,
      .times = sequence.times};
}

}  // namespace

Snapshot State::Describe(int max_sequences) const {
  Snapshot snapshot{.gauges = gauges()};
  for (const std::unique_ptr<Worker>& worker : workers_) {
    const auto num_decodes = static_cast<int>(
        std::count_if(worker->running.begin(), worker->running.end(),
                      [](const Sequence* s) { return s->num_unscheduled_tokens() <= 1; }));
    snapshot.workers.push_back(
        {.id = worker->id,
         .limits = worker->limits,
         .is_draining = worker->is_draining,
         .num_running = worker->num_running(),
         .num_steps_in_flight = worker->in_flight.size(),
         .num_blocks_used = worker->pool.num_used(),
         .num_blocks_cached = worker->pool.num_cached(),
         .num_blocks_free = worker->pool.num_free(),
         .num_unscheduled_tokens = worker->num_unscheduled_tokens,
         .max_prompt_tokens = MaxPromptTokens(*worker, num_decodes),
         .num_lacking_blocks =
             std::max(0, worker->refused.num_lacking_blocks - worker->pool.num_available())});
  }
  std::vector<const Sequence*> alive;
  for (const auto& [id, sequence] : by_id_) alive.push_back(sequence);
  std::sort(alive.begin(), alive.end(), [](const Sequence* a, const Sequence* b) {
    return std::pair(a->phase != Phase::kRunning, a->key) <
           std::pair(b->phase != Phase::kRunning, b->key);
  });
  for (const Sequence* sequence : alive) {
    if (static_cast<int>(snapshot.sequences.size()) == max_sequences) break;
    snapshot.sequences.push_back(core::Describe(*sequence));
  }
  snapshot.num_left_out = static_cast<int>(alive.size() - snapshot.sequences.size());
  return snapshot;
}

}  // namespace weft::core
