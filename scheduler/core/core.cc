#include "scheduler/core/core.h"

#include <utility>

#include "scheduler/core/state.h"

namespace weft::core {

Core::Core(const Config& config) : state_(std::make_unique<State>(config)) {}
Core::~Core() = default;

void Core::Apply(Submit event, Micros now, Outputs& out) {
  state_->Apply(std::move(event), now, out);
}
void Core::Apply(const Conclude& event, Micros now, Outputs& out) {
  state_->Apply(event, now, out);
}
void Core::Apply(const Cancel& event, Micros now, Outputs& out) { state_->Apply(event, now, out); }
absl::Status Core::Apply(const WorkerJoined& event, Micros now, Outputs& out) {
  return state_->Apply(event, now, out);
}
void Core::Apply(const WorkerDraining& event, Micros now, Outputs& out) {
  state_->Apply(event, now, out);
}
void Core::Apply(const WorkerLost& event, Micros now, Outputs& out) {
  state_->Apply(event, now, out);
}
absl::Status Core::Apply(const StepDone& event, Micros now, Outputs& out) {
  return state_->Apply(event, now, out);
}
void Core::Apply(const Tick& event, Micros now, Outputs& out) { state_->Apply(event, now, out); }

Micros Core::next_deadline() const { return state_->next_deadline(); }
Micros Core::retry_after() const { return state_->retry_after(); }
bool Core::Plan(Micros now, Step& step) { return state_->Plan(now, step); }
const Counters& Core::counters() const { return state_->counters(); }
Gauges Core::gauges() const { return state_->gauges(); }
Snapshot Core::Describe(int max_sequences) const { return state_->Describe(max_sequences); }
absl::Status Core::CheckInvariants() const { return state_->CheckInvariants(); }

// ---- what of State belongs to no decision ----

State::State(const Config& config) : config_(config), hasher_(config.hash_key) {}

State::~State() {
  // Tables return their blocks to pools that are still there.
  for (const std::unique_ptr<Worker>& worker : workers_) {
    for (Sequence* sequence : worker->running) sequence->table = BlockTable();
  }
}

Sequence& State::NewSequence() {
  if (unused_.empty()) return sequences_.emplace_back();
  Sequence& sequence = *unused_.back();
  unused_.pop_back();
  return sequence;
}

Sequence* State::FindSequence(SequenceId id) {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

Gauges State::gauges() const {
  const auto in_phase = [&](Phase phase) { return num_in_phase_[static_cast<int>(phase)]; };
  Gauges gauges;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    ++(worker->is_draining ? gauges.num_workers_draining : gauges.num_workers_ready);
    gauges.num_steps_in_flight += worker->in_flight.size();
    gauges.num_blocks_total += worker->pool.num_blocks();
    gauges.num_blocks_used += worker->pool.num_used();
    gauges.num_blocks_cached += worker->pool.num_cached();
    gauges.num_blocks_free += worker->pool.num_free();
  }
  gauges.num_running = in_phase(Phase::kRunning);
  gauges.num_waiting_prefix = in_phase(Phase::kParked);
  gauges.num_waiting_owed = in_phase(Phase::kOwed);
  if (gauges.num_workers_ready == 0) {
    gauges.num_waiting_worker = in_phase(Phase::kWaiting) + in_phase(Phase::kSuspect);
  } else {
    gauges.num_waiting_capacity = in_phase(Phase::kWaiting);
    gauges.num_waiting_trial = in_phase(Phase::kSuspect);
  }
  gauges.num_waiting_tokens = num_waiting_tokens_;
  return gauges;
}

}  // namespace weft::core
