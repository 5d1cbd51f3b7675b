// What a step's answer means, and how sequences end.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "scheduler/core/state.h"

namespace weft::core {
namespace {

const char* WhyFailed(RowStatus status) {
  return status == RowStatus::kNonFinite
             ? "the model computed a value that is not a number"
             : "the grammar that the answer must follow took more work than is allowed";
}

}  // namespace

absl::Status State::CheckAnswer(const Worker& worker, const StepDone& event) const {
  const auto invalid = [&](auto&&... parts) {
    return absl::InvalidArgumentError(absl::StrCat("step ", event.step_id, ": ", parts...));
  };
  if (worker.in_flight.size() == 0) return invalid("none is in flight");
  const StepRecord& record = worker.in_flight.at(0);
  if (event.step_id != record.step_id) return invalid("the oldest in flight is ", record.step_id);
  if (event.rows.size() != record.rows.size()) {
    return invalid(event.rows.size(), " rows answered of ", record.rows.size());
  }
  size_t num_tokens = 0;
  for (size_t row = 0; row < event.rows.size(); ++row) {
    const RowResult& result = event.rows[row];
    if (result.status == RowStatus::kError) {
      return absl::InternalError(absl::StrCat("step ", event.step_id, " failed"));
    }
    const bool samples = record.rows[row].samples && result.status == RowStatus::kOk;
    if (result.num_tokens != (samples ? 1 : 0)) {
      return invalid("row ", row, " has ", result.num_tokens, " tokens");
    }
    num_tokens += result.num_tokens;
  }
  if (num_tokens != event.tokens.size()) return invalid(event.tokens.size(), " tokens in all");
  for (const TokenId token : event.tokens) {
    if (token < 0 || token >= vocab_size_) return invalid("token ", token);
  }
  return absl::OkStatus();
}

absl::Status State::Apply(const StepDone& event, Micros now, Outputs& out) {
  Worker* worker = FindWorker(event.worker);
  if (worker == nullptr) return absl::OkStatus();
  if (absl::Status status = CheckAnswer(*worker, event); !status.ok()) return status;

  const StepRecord& record = worker->in_flight.at(0);
  const TokenId* next_token = event.tokens.data();
  for (size_t i = 0; i < record.rows.size(); ++i) {
    const RowRecord& row = record.rows[i];
    const RowResult& result = event.rows[i];
    const TokenId* tokens = std::exchange(next_token, next_token + result.num_tokens);
    Sequence& sequence = *row.sequence;
    if (sequence.key.arrival != row.arrival) {
      counters_.num_discarded_tokens += result.num_tokens;
      continue;
    }
    if (result.status != RowStatus::kOk) {
      Finish(sequence, FinishReason::kError, now, out, /*stop_token=*/-1, WhyFailed(result.status));
      continue;
    }
    if (sequence.needs_prompt_logprobs()) {
      out.prompt_rows.push_back({.id = sequence.id, .row = static_cast<int>(i)});
    }
    const bool is_same_stay = sequence.phase == Phase::kRunning && sequence.stay == row.stay;
    if (is_same_stay) sequence.num_computed_tokens = row.end;
    if (!row.samples) continue;
    if (is_same_stay) PublishComputed(sequence);
    Deliver(sequence, *tokens, static_cast<int>(i), now, out);
    if (FinishIfComplete(sequence, now, out)) continue;
    if (sequence.phase == Phase::kOwed && sequence.num_owed_tokens == 0) {
      LeavePhase(sequence);
      Enqueue(sequence, now, out);
    }
  }
  worker->pace.Learn(record.num_decode_rows, record.num_prompt_tokens, event.took);
  worker->in_flight.PopOldest();
  return absl::OkStatus();
}

// A finite sample vouches for all that it attended to: full blocks up to there
// can be found from now on.
void State::PublishComputed(Sequence& sequence) {
  WEFT_CHECK(sequence.num_computed_tokens == sequence.num_known_tokens());
  if (!config_.enable_prefix_cache) return;
  const int num_full_blocks = sequence.num_computed_tokens / kBlockTokens;
  if (num_full_blocks == sequence.num_published_blocks) return;
  HashFullBlocks(sequence, num_full_blocks);
  for (int& i = sequence.num_published_blocks; i < num_full_blocks; ++i) {
    sequence.table.Publish(i, sequence.hashes[i]);
    if (i < sequence.num_promised_blocks) KeepPromise(*sequence.worker, sequence, i);
  }
}

void State::Deliver(Sequence& sequence, TokenId token, int row, Micros now, Outputs& out) {
  out.tokens.push_back({.id = sequence.id,
                        .first_index = sequence.num_output_tokens(),
                        .first_token = static_cast<int>(out.token_ids.size()),
                        .num_tokens = 1,
                        .row = row});
  out.token_ids.push_back(token);
  sequence.tokens.push_back(token);
  --sequence.num_owed_tokens;
  if (sequence.phase != Phase::kRunning) ++num_waiting_tokens_;
  if (sequence.times.first_token == kNever) sequence.times.first_token = now;
  ++counters_.num_generated_tokens;

  if (sequence.is_suspect && sequence.phase == Phase::kRunning &&
      ++sequence.num_trial_tokens == kTrialTokens) {
    sequence.is_suspect = false;
    sequence.worker->on_trial = nullptr;
  }
}

// By its last token or by its length.
bool State::FinishIfComplete(Sequence& sequence, Micros now, Outputs& out) {
  const int num_output = sequence.num_output_tokens();
  if (num_output == 0) return false;
  const TokenId last = sequence.tokens.back();
  const std::vector<TokenId>& stops = sequence.sampling.stop_token_ids;
  if (num_output > sequence.sampling.min_tokens &&
      std::find(stops.begin(), stops.end(), last) != stops.end()) {
    Finish(sequence, FinishReason::kStop, now, out, last);
    return true;
  }
  if (num_output >= sequence.max_output_tokens) {
    Finish(sequence, FinishReason::kLength, now, out);
    return true;
  }
  return false;
}

void State::Apply(const Conclude& event, Micros now, Outputs& out) {
  Sequence* sequence = FindSequence(event.id);
  if (sequence == nullptr) return;
  Finish(*sequence, FinishReason::kStop, now, out);
  Finished& finished = out.finished.back();
  finished.num_output_tokens = std::clamp(event.num_tokens, 0, finished.num_output_tokens);
}

void State::Apply(const Cancel& event, Micros now, Outputs& out) {
  Sequence* sequence = FindSequence(event.id);
  if (sequence != nullptr) Finish(*sequence, FinishReason::kCancelled, now, out);
}

void State::Apply(const Tick&, Micros now, Outputs& out) {
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
    Finish(*deadlines_.begin()->second, FinishReason::kTimeout, now, out);
  }
}

Micros State::next_deadline() const {
  return deadlines_.empty() ? kNever : deadlines_.begin()->first.first;
}

void State::Finish(Sequence& sequence, FinishReason reason, Micros now, Outputs& out,
                   TokenId stop_token, std::string message) {
  if (sequence.phase == Phase::kRunning) {
    LeaveWorker(sequence);
  } else {
    LeavePhase(sequence);
  }
  switch (reason) {
    case FinishReason::kStop:
    case FinishReason::kLength:
      ++counters_.num_completed;
      break;
    case FinishReason::kCancelled:
      ++counters_.num_cancelled;
      break;
    case FinishReason::kTimeout:
    case FinishReason::kError:
      ++counters_.num_failed;
      break;
  }
  if (last_finish_ != kNever) {
    // A moving average over some eight ends.
    finish_interval_ += (now - last_finish_ - finish_interval_) / 8;
  }
  last_finish_ = now;

  sequence.times.finished = now;
  out.finished.push_back({.id = sequence.id,
                          .reason = reason,
                          .stop_token = stop_token,
                          .message = std::move(message),
                          .num_prompt_tokens = sequence.num_prompt_tokens,
                          .num_cached_tokens = sequence.num_cached_tokens,
                          .num_output_tokens = sequence.num_output_tokens(),
                          .num_preemptions = sequence.num_preemptions,
                          .times = sequence.times,
                          .trace = sequence.trace});
  by_id_.erase(sequence.id);
  deadlines_.erase({sequence.deadline, sequence.key.arrival});
  fair_clock_.Leave(sequence.tenant);
  sequence = Sequence();  // its arrival is 0 now: rows in flight miss it
  unused_.push_back(&sequence);
}

void State::EnterPhase(Sequence& sequence, Phase phase) {
  sequence.phase = phase;
  ++num_in_phase_[static_cast<int>(phase)];
  if (phase == Phase::kRunning) return;
  num_waiting_tokens_ += sequence.num_known_tokens();
  if (phase == Phase::kWaiting || phase == Phase::kSuspect) {
    if (config_.enable_prefix_cache) {
      HashFullBlocks(sequence, sequence.num_known_tokens() / kBlockTokens);
    }
    (phase == Phase::kWaiting ? waiting_ : suspects_).insert(&sequence);
  }
}

void State::LeavePhase(Sequence& sequence) {
  --num_in_phase_[static_cast<int>(sequence.phase)];
  if (sequence.phase == Phase::kRunning) return;
  num_waiting_tokens_ -= sequence.num_known_tokens();
  if (sequence.phase == Phase::kWaiting) waiting_.erase(&sequence);
  if (sequence.phase == Phase::kSuspect) suspects_.erase(&sequence);
  if (sequence.phase == Phase::kParked) {
    std::vector<Sequence*>& waiters =
        sequence.awaited_worker->promised.find(sequence.awaited_block)->second.waiters;
    waiters.back()->awaited_position = sequence.awaited_position;
    std::swap(waiters[sequence.awaited_position], waiters.back());
    waiters.pop_back();
    sequence.awaited_worker = nullptr;
  }
}

}  // namespace weft::core
