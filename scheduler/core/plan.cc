// Who computes what in a step. There are no phases of prefill and decode: each
// running sequence moves scheduled toward known + owed, within the step's token
// budget; those that need a single token go first, prompts share the rest in
// policy order, as far as they do not hold up the former for long.
#include <algorithm>

#include "common/check.h"
#include "scheduler/core/state.h"

namespace weft::core {

bool State::Plan(Micros now, Step& step) {
  step.Clear();
  const auto can_take = [](const Worker& worker) {
    return !worker.is_draining && !worker.in_flight.full();
  };
  if (std::none_of(workers_.begin(), workers_.end(),
                   [&](const auto& worker) { return can_take(*worker); })) {
    return false;
  }
  Admit();
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = *workers_[(next_worker_ + i) % workers_.size()];
    if (!can_take(worker)) continue;
    FillStep(worker, now, step);
    if (step.rows.empty()) continue;
    next_worker_ = (next_worker_ + i + 1) % workers_.size();
    ++counters_.num_steps;
    return true;
  }
  return false;
}

void State::FillStep(Worker& worker, Micros now, Step& step) {
  StepRecord& record = worker.in_flight.PushEmpty();
  record.step_id = worker.last_step_id + 1;
  int budget = worker.limits.max_step_tokens;
  worker.prefills.clear();

  // `running` may lose its tail on the way: never what has been planned, which
  // is all before i.
  for (size_t i = 0; i < worker.running.size(); ++i) {
    Sequence& sequence = *worker.running[i];
    if (sequence.num_output_tokens() + sequence.num_owed_tokens >= sequence.max_output_tokens) {
      continue;  // what it may still get is owed already
    }
    if (sequence.num_unscheduled_tokens() > 1) {
      worker.prefills.push_back(&sequence);
      continue;
    }
    if (!MakeRoom(worker, sequence)) break;
    AddRow(worker, sequence, 1, now, step, record);
    --budget;
  }
  record.num_decode_rows = static_cast<int>(record.rows.size());
  budget = std::min(budget, MaxPromptTokens(worker, record.num_decode_rows));
  for (Sequence* sequence : worker.prefills) {
    if (budget == 0) break;
    if (sequence->phase != Phase::kRunning) continue;  // preempted for a row above
    int num_tokens = std::min(sequence->num_unscheduled_tokens(), budget);
    if (config_.long_prefill_token_threshold > 0) {
      num_tokens = std::min(num_tokens, config_.long_prefill_token_threshold);
    }
    AddRow(worker, *sequence, num_tokens, now, step, record);
    record.num_prompt_tokens += num_tokens;
    budget -= num_tokens;
  }

  if (record.rows.empty()) {
    worker.in_flight.DropNewest();
    return;
  }
  WEFT_CHECK(budget >= 0);
  step.worker = worker.id;
  step.step_id = record.step_id;
  worker.last_step_id = record.step_id;
  step.released_slots.swap(worker.released_slots);  // which was empty
}

int State::MaxPromptTokens(const Worker& worker, int num_decode_rows) const {
  if (num_decode_rows == 0 || config_.max_mixed_step == 0) return worker.limits.max_step_tokens;
  return worker.pace.MaxPromptTokens(num_decode_rows, config_.max_mixed_step);
}

// A block for the sequence's next token, at the cost of those behind it. False:
// it was the last itself, and has been preempted.
bool State::MakeRoom(Worker& worker, Sequence& sequence) {
  while (sequence.num_scheduled_tokens == sequence.table.size() * kBlockTokens &&
         worker.pool.num_available() == 0) {
    Sequence& last = *worker.running.back();
    // Alone it has the whole pool, and its length is bounded by that.
    WEFT_CHECK(worker.num_running() > 1);
    Preempt(last);
    if (&last == &sequence) return false;
  }
  return true;
}

void State::AddRow(Worker& worker, Sequence& sequence, int num_tokens, Micros now, Step& step,
                   StepRecord& record) {
  if (!sequence.entered) {
    WEFT_CHECK(sequence.num_owed_tokens == 0);
    sequence.entered = true;
    step.entries.push_back({.slot = sequence.slot,
                            .tokens = sequence.tokens,
                            .num_prompt_tokens = sequence.num_prompt_tokens,
                            .num_computed_tokens = sequence.num_scheduled_tokens,
                            .blocks = sequence.table.ids(),
                            .sampling = &sequence.sampling,
                            .trace = sequence.trace});
    if (sequence.times.first_scheduled == kNever) sequence.times.first_scheduled = now;
  }

  const int end = sequence.num_scheduled_tokens + num_tokens;
  const int num_new_blocks = BlocksFor(end) - sequence.table.size();
  if (num_new_blocks > 0) {
    WEFT_CHECK(sequence.table.Grow(num_new_blocks));
    const std::span<const int> ids = sequence.table.ids().last(num_new_blocks);
    step.new_blocks.insert(step.new_blocks.end(), ids.begin(), ids.end());
  }
  step.rows.push_back({sequence.slot, num_tokens, std::max(0, num_new_blocks)});

  const bool samples = end == sequence.num_known_tokens() + sequence.num_owed_tokens;
  record.rows.push_back({.sequence = &sequence,
                         .arrival = sequence.key.arrival,
                         .stay = sequence.stay,
                         .end = end,
                         .samples = samples});
  sequence.num_scheduled_tokens = end;
  if (samples) ++sequence.num_owed_tokens;
  worker.num_unscheduled_tokens += (samples ? 1 : 0) - num_tokens;
}

// Its blocks are free at once: the worker runs its steps in order, so the next
// step may write to them. What steps in flight still owe it will come.
void State::Preempt(Sequence& sequence) {
  ++sequence.num_preemptions;
  ++counters_.num_preemptions;
  LeaveWorker(sequence);
  if (sequence.num_owed_tokens > 0) {
    EnterPhase(sequence, Phase::kOwed);
  } else {
    EnterPhase(sequence, sequence.is_suspect ? Phase::kSuspect : Phase::kWaiting);
  }
}

// Gives up slot and blocks; the caller says which phase comes next.
void State::LeaveWorker(Sequence& sequence) {
  Worker& worker = *sequence.worker;
  LeavePhase(sequence);
  for (int i = sequence.num_published_blocks; i < sequence.num_promised_blocks; ++i) {
    KeepPromise(worker, sequence, i);
  }
  worker.num_unscheduled_tokens -= sequence.num_unscheduled_tokens();
  worker.running.erase(
      std::lower_bound(worker.running.begin(), worker.running.end(), &sequence, EarlierInPolicy()));
  worker.free_slots.push_back(sequence.slot);
  if (sequence.entered) worker.released_slots.push_back(sequence.slot);
  if (worker.on_trial == &sequence) worker.on_trial = nullptr;
  sequence.max_computed_tokens =
      std::max(sequence.max_computed_tokens, sequence.num_computed_tokens);
  sequence.table = BlockTable();
  sequence.worker = nullptr;
  sequence.slot = -1;
}

}  // namespace weft::core
