// Who is let in: what can never run is refused at once; the rest waits in policy
// order until a worker has a slot, blocks for all of its known tokens, and room
// in its next step.
#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "scheduler/core/state.h"

namespace weft::core {
namespace {

// What a submission is taken to generate when its tenant is charged. An estimate:
// many clients leave max_tokens at all that the context holds.
constexpr int kTypicalOutputTokens = 256;

// A decoding sequence finds its next tokens' memory already there.
constexpr int kReservedOutputTokens = 4096;

// Blocks left free by admissions while others run, as a share of the pool: they
// grow, and a pool filled to the brim would preempt whom it has just let in.
constexpr int kWatermarkDivisor = 100;

// Loads closer than that are equal, and the prefix decides.
constexpr int kLoadSteps = 8;

// Siblings parked by one Plan: a burst of thousands is spread over steps, of
// which there are more to come, since the one that they wait for runs.
constexpr int kMaxParkedPerPlan = 32;

constexpr Micros kMinRetryAfter = 1'000'000;
constexpr Micros kMaxRetryAfter = 60'000'000;

int LoadStep(const Worker& worker) {
  const int64_t rows = int64_t{kLoadSteps} * worker.num_running() / worker.limits.max_rows;
  const int64_t blocks = int64_t{kLoadSteps} * worker.pool.num_used() / worker.pool.num_blocks();
  return static_cast<int>(std::max(rows, blocks));
}

// How many blocks of the sequence from `position` on are being computed there.
int NumPromised(const Worker& worker, const Sequence& sequence, int position) {
  int end = position;
  while (end < sequence.num_matchable_blocks() && worker.promised.contains(sequence.hashes[end])) {
    ++end;
  }
  return end - position;
}

absl::Status CheckIds(std::span<const TokenId> ids, int vocab_size) {
  for (const TokenId id : ids) {
    if (id < 0 || id >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("token id ", id, " is outside the vocabulary of ", vocab_size));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void State::Apply(Submit event, Micros now, Outputs& out) {
  if (!IsAcceptable(event, out)) {
    ++counters_.num_rejected;
    return;
  }
  ++counters_.num_accepted;

  Sequence& sequence = NewSequence();
  sequence.id = event.id;
  sequence.tenant = std::move(event.tenant);
  sequence.sampling = std::move(event.sampling);
  sequence.num_prompt_tokens = static_cast<int>(event.prompt.size());
  sequence.max_tokens = event.max_tokens;
  sequence.max_output_tokens = event.max_tokens;
  sequence.deadline = event.deadline;
  sequence.trace = event.trace;
  sequence.root = hasher_.Root(sequence.tenant, event.cache_salt);
  sequence.tokens = std::move(event.prompt);
  sequence.tokens.insert(sequence.tokens.end(), event.delivered.begin(), event.delivered.end());
  sequence.times.queued = now;
  if (!event.delivered.empty()) sequence.times.first_token = now;

  const int64_t cost =
      sequence.num_known_tokens() + std::min(event.max_tokens, kTypicalOutputTokens);
  sequence.key = {
      .priority = config_.policy == SchedulingPolicy::kFcfs ? 0 : event.priority,
      .virtual_time = fair_clock_.Enter(sequence.tenant, cost, !event.delivered.empty()),
      .arrival = ++last_arrival_};
  by_id_.emplace(sequence.id, &sequence);
  if (sequence.deadline != kNever) {
    deadlines_.emplace(std::pair(sequence.deadline, sequence.key.arrival), &sequence);
  }

  Enqueue(sequence, now, out);
}

bool State::IsAcceptable(const Submit& event, Outputs& out) {
  const auto reject = [&](RejectCode code, std::string message, Micros retry_after = 0) {
    out.rejected.push_back({event.id, code, std::move(message), retry_after});
    return false;
  };
  if (by_id_.contains(event.id)) return reject(RejectCode::kInvalid, "the handle is in use");
  if (event.prompt.empty()) return reject(RejectCode::kInvalid, "the prompt is empty");
  if (event.max_tokens < 1) return reject(RejectCode::kInvalid, "max_tokens must be at least 1");
  if (vocab_size_ == 0) {
    return reject(RejectCode::kNoWorker, "no worker has joined yet", kMinRetryAfter);
  }
  for (const absl::Status& status :
       {CheckIds(event.prompt, vocab_size_), CheckIds(event.delivered, vocab_size_),
        ValidateSampling(event.sampling, vocab_size_)}) {
    if (!status.ok()) return reject(RejectCode::kInvalid, std::string(status.message()));
  }
  const int ready_capacity = LargestCapacity();
  const int capacity = ready_capacity > 0 ? ready_capacity : largest_capacity_ever_;
  if (event.prompt.size() >= static_cast<size_t>(capacity)) {
    return reject(RejectCode::kInvalid,
                  absl::StrCat("the prompt of ", event.prompt.size(),
                               " tokens leaves no room for output: prompt and output together "
                               "may have ",
                               capacity));
  }
  if (!event.delivered.empty()) return true;
  if (num_waiting() >= config_.max_waiting_sequences) {
    return reject(RejectCode::kQueueFull,
                  absl::StrCat("the queue is full with ", num_waiting(), " requests"),
                  QueueDrainTime());
  }
  const int64_t num_prompt_tokens = event.prompt.size();
  if (num_waiting() > 0 && num_waiting_tokens_ + num_prompt_tokens > config_.max_waiting_tokens) {
    return reject(RejectCode::kQueueFull,
                  absl::StrCat("the queue is full with ", num_waiting_tokens_, " tokens"),
                  QueueDrainTime());
  }
  const int quota = config_.max_tenant_sequences;
  if (quota > 0 && fair_clock_.num_sequences(event.tenant) >= quota) {
    return reject(RejectCode::kQuota,
                  absl::StrCat("this tenant has ", quota, " requests open, as many as it may"),
                  QueueDrainTime());
  }
  return true;
}

int State::num_waiting() const {
  return static_cast<int>(by_id_.size()) - num_in_phase_[static_cast<int>(Phase::kRunning)];
}

Micros State::retry_after() const {
  const bool is_full = num_waiting() >= config_.max_waiting_sequences ||
                       (num_waiting() > 0 && num_waiting_tokens_ >= config_.max_waiting_tokens);
  return is_full ? QueueDrainTime() : 0;
}

// At the pace of late; a second at least.
Micros State::QueueDrainTime() const {
  return std::clamp(finish_interval_ * num_waiting(), kMinRetryAfter, kMaxRetryAfter);
}

void State::HashFullBlocks(Sequence& sequence, int num_blocks) {
  for (int i = static_cast<int>(sequence.hashes.size()); i < num_blocks; ++i) {
    const BlockHash& parent = i == 0 ? sequence.root : sequence.hashes[i - 1];
    sequence.hashes.push_back(hasher_.Block(
        parent,
        std::span<const TokenId, kBlockTokens>(&sequence.tokens[i * kBlockTokens], kBlockTokens)));
  }
}

// Precondition: it is in no phase (new, or just left one), and owed nothing.
void State::Enqueue(Sequence& sequence, Micros now, Outputs& out) {
  WEFT_CHECK(sequence.num_owed_tokens == 0);
  EnterPhase(sequence, sequence.is_suspect ? Phase::kSuspect : Phase::kWaiting);
  if (FinishIfComplete(sequence, now, out)) return;
  if (LargestCapacity() > 0 && sequence.num_known_tokens() >= LargestCapacity()) {
    EndWhatFitsNowhere(now, out);
  }
}

void State::Admit() {
  // A suspect that lacks room holds back those behind it; one that waits for its
  // turn to be tried does not.
  const Sequence* blocked = nullptr;
  while (!suspects_.empty()) {
    Sequence& sequence = **suspects_.begin();
    if (std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) {
          return worker->is_draining || worker->on_trial != nullptr;
        })) {
      break;
    }
    const Placement placement = Place(sequence);
    if (placement.worker == nullptr) {
      blocked = &sequence;
      break;
    }
    AdmitTo(placement, sequence);
  }
  int num_parked = 0;
  while (!waiting_.empty() && num_parked < kMaxParkedPerPlan) {
    Sequence& sequence = **waiting_.begin();
    if (blocked != nullptr && blocked->key < sequence.key) return;
    const Placement placement = Place(sequence);
    if (placement.worker == nullptr) return;
    if (ParkBehindSibling(*placement.worker, sequence, placement.num_matched_blocks)) {
      ++num_parked;
    } else {
      AdmitTo(placement, sequence);
    }
  }
}

// Whoever came in now would compute nothing yet, and hold blocks meanwhile.
bool State::IsNextStepFull(const Worker& worker) const {
  if (worker.num_unscheduled_tokens < worker.limits.max_step_tokens) return false;
  const int threshold = config_.long_prefill_token_threshold;
  if (threshold == 0) return true;
  int64_t num_tokens = 0;  // that a step takes of them
  for (const Sequence* sequence : worker.running) {
    num_tokens += std::min(sequence->num_unscheduled_tokens(), threshold);
  }
  return num_tokens >= worker.limits.max_step_tokens;
}

// The least loaded worker with room; between equals the one that holds, or is
// computing, more of its prefix; between those the one with fewer sequences. If
// none has room, one where it can wait for a sibling: there it needs less.
State::Placement State::Place(const Sequence& sequence) {
  Placement best;
  Placement parking;
  int best_load = 0;
  int best_prefix = 0;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (worker->is_draining || worker->capacity_tokens() <= sequence.num_known_tokens()) continue;
    if (sequence.is_suspect && worker->on_trial != nullptr) continue;
    if (worker->num_running() == worker->limits.max_rows) continue;
    if (IsNextStepFull(*worker)) continue;

    const auto& refused = worker->refused;
    if (refused.arrival == sequence.key.arrival && worker->num_running() > 0 &&
        worker->pool.num_available() < refused.num_lacking_blocks &&
        (refused.num_matched_blocks == sequence.num_matchable_blocks() ||
         worker->pool.index().Find(sequence.hashes[refused.num_matched_blocks]) < 0)) {
      continue;
    }
    const int num_matched = MatchPrefix(*worker, sequence);
    const int num_promised = sequence.is_suspect ? 0 : NumPromised(*worker, sequence, num_matched);
    if (!HasRoom(*worker, sequence, num_matched)) {
      if (num_promised > 0) parking = {worker.get(), num_matched};
      continue;
    }

    const int load = LoadStep(*worker);
    const int prefix = num_matched + num_promised;
    const bool is_better = best.worker == nullptr ||
                           std::tuple(load, -prefix, worker->num_running()) <
                               std::tuple(best_load, -best_prefix, best.worker->num_running());
    if (is_better) {
      best = {worker.get(), num_matched};
      best_load = load;
      best_prefix = prefix;
    }
  }
  return best.worker != nullptr ? best : parking;
}

int State::MatchPrefix(const Worker& worker, const Sequence& sequence) const {
  int num_matched = 0;
  while (num_matched < sequence.num_matchable_blocks() &&
         worker.pool.index().Find(sequence.hashes[num_matched]) >= 0) {
    ++num_matched;
  }
  return num_matched;
}

bool State::HasRoom(Worker& worker, const Sequence& sequence, int num_matched_blocks) {
  // A matched block that nobody owns stops being available once it is shared.
  int num_lacking = BlocksFor(sequence.num_known_tokens()) - num_matched_blocks;
  for (int i = 0; i < num_matched_blocks; ++i) {
    const int block = worker.pool.index().Find(sequence.hashes[i]);
    if (worker.pool.num_owners(block) == 0) ++num_lacking;
  }
  if (worker.num_running() > 0) num_lacking += worker.pool.num_blocks() / kWatermarkDivisor;
  if (num_lacking <= worker.pool.num_available()) return true;
  worker.refused = {.arrival = sequence.key.arrival,
                    .num_matched_blocks = num_matched_blocks,
                    .num_lacking_blocks = num_lacking};
  return false;
}

// If its next missing block is being computed there, it waits for the last one
// in a row that is. Suspects run alone and wait for nobody.
bool State::ParkBehindSibling(Worker& worker, Sequence& sequence, int num_matched_blocks) {
  const int num_promised = NumPromised(worker, sequence, num_matched_blocks);
  if (num_promised == 0) return false;
  LeavePhase(sequence);
  sequence.awaited_worker = &worker;
  sequence.awaited_block = sequence.hashes[num_matched_blocks + num_promised - 1];
  std::vector<Sequence*>& waiters = worker.promised.find(sequence.awaited_block)->second.waiters;
  sequence.awaited_position = static_cast<int>(waiters.size());
  waiters.push_back(&sequence);
  EnterPhase(sequence, Phase::kParked);
  return true;
}

void State::Unpark(Sequence& sequence) {
  LeavePhase(sequence);
  EnterPhase(sequence, Phase::kWaiting);
}

void State::AdmitTo(const Placement& placement, Sequence& sequence) {
  Worker& worker = *placement.worker;
  const int num_known = sequence.num_known_tokens();
  const int num_matched = placement.num_matched_blocks;
  LeavePhase(sequence);
  EnterPhase(sequence, Phase::kRunning);
  fair_clock_.Advance(sequence.key.virtual_time);

  sequence.worker = &worker;
  ++sequence.stay;
  sequence.slot = worker.free_slots.back();
  worker.free_slots.pop_back();
  sequence.entered = false;
  sequence.max_output_tokens =
      std::min(sequence.max_tokens, worker.capacity_tokens() - sequence.num_prompt_tokens);

  const int num_more_tokens =
      std::min(sequence.max_output_tokens - sequence.num_output_tokens(), kReservedOutputTokens);
  sequence.tokens.reserve(num_known + num_more_tokens);
  sequence.hashes.reserve((num_known + num_more_tokens) / kBlockTokens);
  sequence.table = BlockTable(worker.pool);
  sequence.table.Reserve(BlocksFor(num_known + num_more_tokens));
  for (int i = 0; i < num_matched; ++i) {
    sequence.table.AppendShared(worker.pool.index().Find(sequence.hashes[i]));
  }
  WEFT_CHECK(sequence.table.Grow(BlocksFor(num_known) - num_matched));
  sequence.num_computed_tokens = num_matched * kBlockTokens;
  sequence.num_scheduled_tokens = sequence.num_computed_tokens;
  sequence.num_published_blocks = num_matched;
  sequence.num_promised_blocks = 0;
  if (config_.enable_prefix_cache) {
    sequence.num_promised_blocks = num_known / kBlockTokens;
    for (int i = num_matched; i < sequence.num_promised_blocks; ++i) {
      worker.promised.try_emplace(sequence.hashes[i], PromisedBlock{.owner = &sequence});
    }
  }

  if (sequence.stay == 1) {
    sequence.num_cached_tokens = std::min(sequence.num_computed_tokens, sequence.num_prompt_tokens);
    counters_.num_prompt_tokens_cached += sequence.num_cached_tokens;
    counters_.num_prompt_tokens_computed += sequence.num_prompt_tokens - sequence.num_cached_tokens;
  } else {
    counters_.num_recomputed_tokens +=
        std::max(0, sequence.max_computed_tokens - sequence.num_computed_tokens);
  }

  if (sequence.is_suspect) {
    worker.on_trial = &sequence;
    sequence.num_trial_tokens = 0;
  }
  worker.num_unscheduled_tokens += sequence.num_unscheduled_tokens();
  worker.running.insert(
      std::upper_bound(worker.running.begin(), worker.running.end(), &sequence, EarlierInPolicy()),
      &sequence);
}

// The block at `position` of a running sequence is published, or will never be:
// whoever is parked for it looks again.
void State::KeepPromise(Worker& worker, Sequence& owner, int position) {
  const auto it = worker.promised.find(owner.hashes[position]);
  if (it == worker.promised.end() || it->second.owner != &owner) return;
  // From the back: each leaves the list as it is unparked.
  while (!it->second.waiters.empty()) Unpark(*it->second.waiters.back());
  worker.promised.erase(it);
}

}  // namespace weft::core
