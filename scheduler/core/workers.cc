// Workers that join, drain and are lost.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "scheduler/core/state.h"

namespace weft::core {
namespace {

// Far beyond any device: what a peer claims is not allocated unseen.
constexpr int kMaxBlocks = 1 << 26;
constexpr int kMaxRows = 1 << 16;
constexpr int kMaxStepsInFlight = 16;

absl::Status CheckLimits(const WorkerLimits& limits) {
  const auto check = [](bool ok, const char* what, int64_t value) {
    return ok ? absl::OkStatus()
              : absl::InvalidArgumentError(absl::StrCat("worker limit ", what, " = ", value));
  };
  for (const absl::Status& status : {
           check(limits.block_tokens == kBlockTokens, "block_tokens", limits.block_tokens),
           check(limits.num_blocks >= 1 && limits.num_blocks <= kMaxBlocks, "num_blocks",
                 limits.num_blocks),
           check(limits.max_rows >= 1 && limits.max_rows <= kMaxRows, "max_rows", limits.max_rows),
           check(limits.max_step_tokens >= limits.max_rows, "max_step_tokens below max_rows",
                 limits.max_step_tokens),
           check(limits.max_steps_in_flight >= 1 && limits.max_steps_in_flight <= kMaxStepsInFlight,
                 "max_steps_in_flight", limits.max_steps_in_flight),
           check(limits.max_context_tokens >= 2, "max_context_tokens", limits.max_context_tokens),
           check(limits.vocab_size >= 1, "vocab_size", limits.vocab_size),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status State::Apply(const WorkerJoined& event, Micros now, Outputs& out) {
  if (absl::Status status = CheckLimits(event.limits); !status.ok()) return status;
  if (FindWorker(event.worker) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("worker ", event.worker, " is here already"));
  }
  if (vocab_size_ != 0 && vocab_size_ != event.limits.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat("a vocabulary of ", event.limits.vocab_size,
                                                   ", where the group's is ", vocab_size_));
  }
  vocab_size_ = event.limits.vocab_size;
  workers_.push_back(std::make_unique<Worker>(event.worker, event.limits));
  largest_capacity_ever_ = std::max(largest_capacity_ever_, workers_.back()->capacity_tokens());
  EndWhatFitsNowhere(now, out);
  return absl::OkStatus();
}

void State::Apply(const WorkerDraining& event, Micros now, Outputs& out) {
  Worker* worker = FindWorker(event.worker);
  if (worker == nullptr || worker->is_draining) return;
  worker->is_draining = true;
  RequeueAll(*worker, now, out);
  EndWhatFitsNowhere(now, out);
}

void State::Apply(const WorkerLost& event, Micros now, Outputs& out) {
  Worker* worker = FindWorker(event.worker);
  if (worker == nullptr) return;
  worker->is_draining = true;
  Blame(*worker, now, out);

  // Nothing more will come of its steps. Those that were preempted and wait for
  // no other reason can run again.
  counters_.num_steps_lost += worker->in_flight.size();
  for (int i = 0; i < worker->in_flight.size(); ++i) {
    for (const RowRecord& row : worker->in_flight.at(i).rows) {
      Sequence& sequence = *row.sequence;
      if (sequence.key.arrival != row.arrival || !row.samples) continue;
      if (sequence.phase == Phase::kRunning) {
        worker->num_unscheduled_tokens -= sequence.num_owed_tokens;
      }
      sequence.num_owed_tokens = 0;
    }
  }
  for (int i = 0; i < worker->in_flight.size(); ++i) {
    for (const RowRecord& row : worker->in_flight.at(i).rows) {
      Sequence& sequence = *row.sequence;
      if (sequence.key.arrival != row.arrival || sequence.phase != Phase::kOwed) continue;
      if (sequence.num_owed_tokens > 0) continue;  // by another worker
      LeavePhase(sequence);
      Enqueue(sequence, now, out);
    }
  }
  RequeueAll(*worker, now, out);
  std::erase_if(workers_, [&](const auto& it) { return it.get() == worker; });
  next_worker_ = 0;
  EndWhatFitsNowhere(now, out);
}

// See "Suspects" in state.h. The step that the worker died of is the oldest in
// flight: it answers in order.
void State::Blame(Worker& worker, Micros now, Outputs& out) {
  if (worker.in_flight.size() == 0) return;
  const std::vector<RowRecord>& rows = worker.in_flight.at(0).rows;
  const auto is_on_trial = [&](const RowRecord& row) {
    return row.sequence == worker.on_trial && row.arrival == row.sequence->key.arrival;
  };
  if (std::any_of(rows.begin(), rows.end(), is_on_trial)) {
    Finish(*worker.on_trial, FinishReason::kError, now, out, /*stop_token=*/-1,
           "the request brought down two workers");
    return;
  }
  for (const RowRecord& row : rows) {
    Sequence& sequence = *row.sequence;
    if (sequence.key.arrival != row.arrival) continue;
    if (++sequence.num_losses == kMaxLosses) {
      Finish(sequence, FinishReason::kError, now, out, /*stop_token=*/-1,
             absl::StrCat("the request was running on ", kMaxLosses, " workers that were lost"));
      continue;
    }
    // Not one that has been preempted since and runs elsewhere: if it does harm
    // there, that is noticed there.
    if (sequence.phase == Phase::kRunning && sequence.worker != &worker) continue;
    if (sequence.phase == Phase::kWaiting || sequence.phase == Phase::kParked) {
      LeavePhase(sequence);
      EnterPhase(sequence, Phase::kSuspect);
    }
    sequence.is_suspect = true;
  }
}

void State::RequeueAll(Worker& worker, Micros now, Outputs& out) {
  while (!worker.running.empty()) {
    Sequence& sequence = *worker.running.back();
    ++counters_.num_requeued;
    LeaveWorker(sequence);
    if (sequence.num_owed_tokens > 0) {
      EnterPhase(sequence, Phase::kOwed);
    } else {
      Enqueue(sequence, now, out);
    }
  }
}

// After the ready workers have changed. With none left, all wait.
void State::EndWhatFitsNowhere(Micros now, Outputs& out) {
  const int capacity = LargestCapacity();
  if (capacity == 0) return;
  for (PolicyOrder* queue : {&waiting_, &suspects_}) {
    for (auto it = queue->begin(); it != queue->end();) {
      Sequence& sequence = **it++;  // Finish takes it out
      if (sequence.num_known_tokens() < capacity) continue;
      if (sequence.num_output_tokens() > 0) {
        Finish(sequence, FinishReason::kLength, now, out);
      } else {
        Finish(sequence, FinishReason::kError, now, out, /*stop_token=*/-1,
               absl::StrCat("the prompt of ", sequence.num_known_tokens(),
                            " tokens exceeds what the workers left can hold, ", capacity));
      }
    }
  }
}

Worker* State::FindWorker(WorkerId id) {
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (worker->id == id) return worker.get();
  }
  return nullptr;
}

// Of the ready workers; 0: there is none.
int State::LargestCapacity() const {
  int largest = 0;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (!worker->is_draining) largest = std::max(largest, worker->capacity_tokens());
  }
  return largest;
}

}  // namespace weft::core
