#include "scheduler/rpc/group.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::scheduler {
namespace {

constexpr core::Micros kHousekeeping = 250'000;
constexpr core::Micros kLoadInterval = 1'000'000;
constexpr int kMaxDescribed = 1000;
// What a client should wait when it is refused for want of a worker or because
// this scheduler ends: about what a worker takes to start.
constexpr uint32_t kRetryAfterMs = 2000;

absl::Status ShuttingDown() { return absl::UnavailableError("this scheduler is shutting down"); }

// To whoever leads now.
void SendAway(GatewayPeer& peer, const std::string& leader) {
  peer.Tell([&](Outbox& outbox) { outbox.SetNotLeader(leader); });
  peer.Close(absl::OkStatus());
}

void SendAway(WorkerPeer& peer, const std::string& leader) {
  std::unique_ptr<v1::WorkerCommand> command = peer.NewCommand();
  command->mutable_not_leader()->set_address(leader);
  peer.Send(std::move(command));
  peer.Close(absl::OkStatus());
}

}  // namespace

Submitted ReadSubmit(uint64_t stream_id, const v1::Submit& proto, int vocab_size,
                     core::Micros now) {
  const core::SequenceId id = SequenceIdOf(stream_id, proto.handle());
  absl::StatusOr<core::Submit> submit = FromProto(proto, id, now);
  if (submit.ok() && vocab_size > 0) {
    if (auto s = CheckSubmit(*submit, vocab_size); !s.ok()) submit = s;
  }
  return {id, std::move(submit), vocab_size > 0};
}

core::Conclude ReadConclude(uint64_t stream_id, const v1::Conclude& proto) {
  return {.id = SequenceIdOf(stream_id, proto.handle()),
          .num_tokens = static_cast<int>(proto.num_tokens() & 0x7fffffff)};
}

WorkerFailed ReadFault(uint64_t stream_id, const v1::Fault& fault) {
  return {stream_id, absl::StrCat("step ", fault.step_id(), ": ", fault.message())};
}

Group::Group(const GroupOptions& options, SchedulerMetrics& metrics, core::Micros now)
    : options_(options), metrics_(metrics), core_(options.core), now_(now), no_worker_since_(now) {}

void Group::Turn(core::Micros now) {
  now_ = now;
  if (now_ >= core_.next_deadline()) core_.Apply(core::Tick{}, now_, outputs_);
  if (now_ >= next_housekeeping_) Housekeep();
  PlanSteps();  // before Deliver: a worker may be idle
  Deliver();
  if ((core_.retry_after() > 0) != told_full_) load_changed_ = true;
  if (load_changed_) ShareLoad();
  if (draining_) FinishDrain();
}

absl::Status Group::CheckInvariants() const {
  size_t num_live = 0;
  for (const auto& [id, session] : sessions_) num_live += session.live.size();
  const core::Gauges gauges = core_.gauges();
  const int num_alive = gauges.num_running + gauges.num_waiting();
  if (num_live != static_cast<size_t>(num_alive)) {
    return absl::InternalError(absl::StrCat("gateways wait for ", num_live, " sequences, of which ",
                                            num_alive, " are alive"));
  }
  return core_.CheckInvariants();
}

void Group::PlanSteps() {
  while (true) {
    const auto stopwatch = options_.stopwatch;
    const core::Micros began = stopwatch != nullptr ? stopwatch() : 0;
    if (!core_.Plan(now_, step_)) return;
    if (stopwatch != nullptr) metrics_.plan_seconds.Observe((stopwatch() - began) * 1e-6);
    Worker& worker = workers_.at(step_.worker);
    int num_tokens = 0;
    for (const core::StepRow& row : step_.rows) num_tokens += row.num_tokens;
    metrics_.step_tokens.Observe(num_tokens);
    if (worker.in_flight.empty()) worker.oldest_since = now_;
    worker.in_flight.push_back({.step_id = step_.step_id, .num_tokens = num_tokens});
    std::unique_ptr<v1::WorkerCommand> command = worker.peer->NewCommand();
    ToProto(step_, *command->mutable_step());
    worker.peer->Send(std::move(command));
  }
}

void Group::Apply(GatewayCame& mail, core::Micros now) {
  now_ = now;
  if (!next_leader_.empty()) return SendAway(*mail.peer, next_leader_);
  // What it has waits for the next scheduler; here it would be refused.
  if (drained_) return mail.peer->Close(ShuttingDown());
  const uint64_t id = mail.peer->id();
  spdlog::info("gateway {} connected", mail.gateway_id);
  mail.peer->Tell([&](Outbox& outbox) {
    outbox.SetWelcome();
    outbox.SetLoad(CurrentLoad());
  });
  sessions_[id].peer = std::move(mail.peer);
  metrics_.sessions.Set(static_cast<double>(sessions_.size()));
}

void Group::Apply(Submitted& mail, core::Micros now) {
  now_ = now;
  auto session = sessions_.find(StreamOf(mail.id));
  if (session == sessions_.end()) return;
  if (mail.submit.ok() && !mail.checked && vocab_size_ > 0) {
    if (auto s = CheckSubmit(*mail.submit, vocab_size_); !s.ok()) mail.submit = s;
  }
  if (!mail.submit.ok()) {
    return Reject(mail.id, v1::REJECT_CODE_INVALID, std::string(mail.submit.status().message()), 0);
  }
  if (draining_) {
    return Reject(mail.id, v1::REJECT_CODE_DRAINING, std::string(ShuttingDown().message()),
                  kRetryAfterMs);
  }
  if (workers_.empty() && now_ - no_worker_since_ > options_.no_worker_patience) {
    return Reject(mail.id, v1::REJECT_CODE_NO_WORKER, "no worker is attached", kRetryAfterMs);
  }
  const size_t num_rejected = outputs_.rejected.size();
  core_.Apply(std::move(*mail.submit), now_, outputs_);
  if (outputs_.rejected.size() == num_rejected) session->second.live.emplace(mail.id, core::kNever);
}

void Group::Apply(core::Conclude& mail, core::Micros now) { core_.Apply(mail, now, outputs_); }

void Group::Apply(core::Cancel& mail, core::Micros now) { core_.Apply(mail, now, outputs_); }

void Group::Apply(GatewayGone& mail, core::Micros now) {
  now_ = now;
  auto it = sessions_.find(mail.stream_id);
  if (it == sessions_.end()) return;  // cut before
  spdlog::info("gateway stream {} ended with {} sequences open", mail.stream_id,
               it->second.live.size());
  EndSession(it);
}

void Group::EndSession(std::map<uint64_t, Session>::iterator session) {
  const uint64_t stream_id = session->first;
  std::vector<core::SequenceId> live;
  for (const auto& [id, unused] : session->second.live) live.push_back(id);
  std::sort(live.begin(), live.end());
  for (core::SequenceId id : live) core_.Apply(core::Cancel{.id = id}, now_, outputs_);
  for (const core::Finished& f : outputs_.finished) {
    if (StreamOf(f.id) == stream_id) Account(f);
  }
  sessions_.erase(session);
  metrics_.sessions.Set(static_cast<double>(sessions_.size()));
}

void Group::Apply(WorkerCame& mail, core::Micros now) {
  now_ = now;
  if (!next_leader_.empty()) return SendAway(*mail.peer, next_leader_);
  const uint64_t id = mail.peer->id();
  const v1::WorkerHello& hello = mail.hello;
  auto refuse = [&](const absl::Status& status) {
    spdlog::error("worker {} refused: {}", hello.worker_id(), std::string(status.message()));
    mail.peer->Close(status);
  };
  absl::StatusOr<core::WorkerLimits> limits = FromProto(hello.limits());
  if (!limits.ok()) return refuse(limits.status());
  if (hello.fingerprint().empty()) return refuse(absl::InvalidArgumentError("no fingerprint"));
  if (!group_.fingerprint().empty() && hello.fingerprint() != group_.fingerprint()) {
    return refuse(absl::FailedPreconditionError(
        absl::StrCat("this group serves another model: ",
                     FingerprintDifference(group_.fingerprint(), hello.fingerprint()))));
  }
  if (auto s = core_.Apply(core::WorkerJoined{.worker = id, .limits = *limits}, now_, outputs_);
      !s.ok()) {
    return refuse(s);
  }
  Worker& worker = workers_[id];
  worker.name = hello.worker_id();
  worker.last_heard = now_;
  worker.facts.set_fingerprint(hello.fingerprint());
  worker.facts.set_max_context_tokens(limits->max_context_tokens);
  worker.facts.set_vocab_size(limits->vocab_size);
  worker.facts.set_kv_tokens(limits->num_blocks * limits->block_tokens);
  worker.peer = std::move(mail.peer);
  if (group_.fingerprint().empty()) vocab_size_ = limits->vocab_size;
  std::unique_ptr<v1::WorkerCommand> command = worker.peer->NewCommand();
  command->mutable_welcome()->set_heartbeat_ms(static_cast<uint32_t>(options_.heartbeat / 1000));
  worker.peer->Send(std::move(command));
  group_.set_fingerprint(hello.fingerprint());
  WorkersChanged();
  spdlog::info("worker {} attached: {}, {} KV blocks of {} tokens, {} rows", worker.name,
               hello.device(), limits->num_blocks, limits->block_tokens, limits->max_rows);
}

DebugFacts Group::Describe(core::Micros now) const {
  DebugFacts facts = {.snapshot = core_.Describe(kMaxDescribed),
                      .term = options_.epoch,
                      .num_gateways = static_cast<int>(sessions_.size()),
                      .now = now};
  for (const auto& [id, worker] : workers_) facts.worker_names[id] = worker.name;
  return facts;
}

void Group::Apply(StepAnswered& mail, core::Micros now) {
  now_ = now;
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end()) return;  // lost before: nothing it says counts
  Worker& worker = it->second;
  worker.last_heard = now_;
  absl::Status status = mail.answer.status();
  const size_t first_output = outputs_.tokens.size();
  const size_t first_prompt_row = outputs_.prompt_rows.size();
  if (status.ok()) {
    status = core_.Apply(core::StepDone{.worker = mail.stream_id,
                                        .step_id = mail.answer->step_id,
                                        .rows = mail.answer->rows,
                                        .tokens = mail.answer->tokens,
                                        .took = mail.answer->device_us},
                         now_, outputs_);
  }
  if (!status.ok()) {
    spdlog::error("worker {} lost: its answer is wrong: {}", worker.name,
                  std::string(status.message()));
    return LoseWorker(mail.stream_id, status);
  }
  const StepInFlight step = worker.in_flight.front();
  worker.in_flight.pop_front();
  worker.oldest_since = now_;
  const double us_per_token = double(mail.answer->device_us) / std::max(1, step.num_tokens);
  worker.us_per_token =
      worker.us_per_token == 0 ? us_per_token : 0.8 * worker.us_per_token + 0.2 * us_per_token;
  if (!mail.answer->logprobs.empty()) AttachLogprobs(*mail.answer, first_output);
  if (!mail.answer->prompt_logprobs.empty()) AttachPromptLogprobs(*mail.answer, first_prompt_row);
  if (worker.is_leaving) DrainWorker(worker);
}

// The core tells which row an output came from; logprobs are ordered by row.
void Group::AttachLogprobs(StepAnswer& answer, size_t first_output) {
  for (size_t i = first_output; i < outputs_.tokens.size(); ++i) {
    const core::TokensOut& out = outputs_.tokens[i];
    auto it = std::lower_bound(
        answer.logprobs.begin(), answer.logprobs.end(), static_cast<uint32_t>(out.row),
        [](const v1::RowLogprobs& l, uint32_t row) { return l.row() < row; });
    std::vector<v1::TokenLogprobs> logprobs;
    for (; it != answer.logprobs.end() && it->row() == static_cast<uint32_t>(out.row); ++it) {
      if (logprobs.size() == static_cast<size_t>(out.num_tokens)) break;
      logprobs.push_back(std::move(*it->mutable_logprobs()));
    }
    if (logprobs.size() == static_cast<size_t>(out.num_tokens)) {
      logprobs_.emplace(i, std::move(logprobs));
    }
  }
}

void Group::AttachPromptLogprobs(StepAnswer& answer, size_t first_row) {
  for (size_t i = first_row; i < outputs_.prompt_rows.size(); ++i) {
    const auto row = static_cast<uint32_t>(outputs_.prompt_rows[i].row);
    const auto it = std::lower_bound(
        answer.prompt_logprobs.begin(), answer.prompt_logprobs.end(), row,
        [](const v1::RowPromptLogprobs& l, uint32_t sought) { return l.row() < sought; });
    if (it == answer.prompt_logprobs.end() || it->row() != row) continue;
    prompt_logprobs_.emplace(i, std::move(*it->mutable_logprobs()));
  }
}

void Group::Apply(WorkerHeard& mail, core::Micros now) {
  now_ = now;
  auto it = workers_.find(mail.stream_id);
  if (it != workers_.end()) it->second.last_heard = now_;
}

void Group::Apply(WorkerFailed& mail, core::Micros now) {
  now_ = now;
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end()) return;
  spdlog::error("worker {} reports: {}", it->second.name, mail.message);
  LoseWorker(mail.stream_id, absl::AbortedError("after its fault"));
}

void Group::Apply(WorkerLeaves& mail, core::Micros now) {
  now_ = now;
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end() || it->second.is_leaving) return;
  spdlog::info("worker {} leaves", it->second.name);
  it->second.is_leaving = true;
  core_.Apply(core::WorkerDraining{.worker = mail.stream_id}, now_, outputs_);
  WorkersChanged();
  DrainWorker(it->second);
}

void Group::Apply(WorkerGone& mail, core::Micros now) {
  now_ = now;
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end()) return;
  if (mail.clean && it->second.was_drained) {
    spdlog::info("worker {} has left", it->second.name);
    core_.Apply(core::WorkerLost{.worker = mail.stream_id}, now_, outputs_);
    return ForgetWorker(mail.stream_id);
  }
  spdlog::warn("worker {} lost: its stream ended", it->second.name);
  LoseWorker(mail.stream_id, absl::OkStatus());
}

void Group::Drain() {
  draining_ = true;
  spdlog::info("draining: {} running", core_.gauges().num_running);
}

void Group::HandOver(const std::string& leader) {
  next_leader_ = leader;
  draining_ = drained_ = true;
  spdlog::info("{} leads now: {} gateways and {} workers go there, {} sequences with them", leader,
               sessions_.size(), workers_.size(),
               core_.gauges().num_running + core_.gauges().num_waiting());
  Deliver();  // what gateways have they need not have again
  while (!sessions_.empty()) {
    SendAway(*sessions_.begin()->second.peer, leader);
    EndSession(sessions_.begin());
  }
  while (!workers_.empty()) {
    const uint64_t id = workers_.begin()->first;
    SendAway(*workers_.begin()->second.peer, leader);
    core_.Apply(core::WorkerLost{.worker = id}, now_, outputs_);
    ForgetWorker(id);
  }
}

void Group::LoseWorker(uint64_t stream_id, const absl::Status& status) {
  metrics_.workers_lost.Increment();
  workers_.at(stream_id).peer->Close(status);
  core_.Apply(core::WorkerLost{.worker = stream_id}, now_, outputs_);
  ForgetWorker(stream_id);
}

void Group::ForgetWorker(uint64_t stream_id) {
  workers_.erase(stream_id);
  if (workers_.empty()) no_worker_since_ = now_;
  WorkersChanged();
}

void Group::WorkersChanged() {
  load_changed_ = true;
  if (workers_.empty()) return;  // what was last true stands
  group_.clear_max_context_tokens();
  group_.clear_kv_tokens();
  for (const auto& [id, worker] : workers_) {
    group_.set_vocab_size(worker.facts.vocab_size());
    group_.set_kv_tokens(std::max(group_.kv_tokens(), worker.facts.kv_tokens()));
    group_.set_max_context_tokens(
        std::max(group_.max_context_tokens(), worker.facts.max_context_tokens()));
  }
}

void Group::DrainWorker(Worker& worker) {
  if (worker.was_drained || !worker.in_flight.empty()) return;
  worker.was_drained = true;
  std::unique_ptr<v1::WorkerCommand> command = worker.peer->NewCommand();
  command->mutable_drain();
  worker.peer->Send(std::move(command));
}

// ---- now and then ----

void Group::Housekeep() {
  ForgiveDelay(now_ - next_housekeeping_);
  next_housekeeping_ = now_ + kHousekeeping;
  CheckWorkers();
  if (workers_.empty() && now_ - no_worker_since_ > options_.no_worker_patience) {
    FailWithoutWorker();
  }
  if (now_ >= next_load_) {
    next_load_ = now_ + kLoadInterval;
    load_changed_ = true;
  }
  metrics_.Follow(core_.counters(), core_.gauges());
}

// What this process has slept through, stopped or busy, was no worker's silence: what they
// said meanwhile is still to be read.
void Group::ForgiveDelay(core::Micros delay) {
  if (delay < kHousekeeping) return;
  for (auto& [id, worker] : workers_) {
    worker.last_heard = std::min(now_, worker.last_heard + delay);
    worker.oldest_since = std::min(now_, worker.oldest_since + delay);
  }
}

void Group::CheckWorkers() {
  core::Micros oldest = 0;
  std::vector<uint64_t> lost;
  for (const auto& [id, worker] : workers_) {
    oldest = std::max(oldest, now_ - worker.last_heard);
    if (IsSilent(worker)) {
      spdlog::error("worker {} lost: silent for {} ms", worker.name,
                    (now_ - worker.last_heard) / 1000);
      lost.push_back(id);
    } else if (IsStuck(worker)) {
      spdlog::error("worker {} lost: step {} has run for {} s", worker.name,
                    worker.in_flight.front().step_id, (now_ - worker.oldest_since) / 1'000'000);
      lost.push_back(id);
    }
  }
  for (uint64_t id : lost) {
    const std::shared_ptr<WorkerPeer> peer = workers_.at(id).peer;
    LoseWorker(id, absl::DeadlineExceededError("silent, or stuck in a step"));
    peer->Cut();  // it may never read that
  }
  metrics_.heartbeat_age.Set(oldest * 1e-6);
}

bool Group::IsSilent(const Worker& worker) const {
  return now_ - worker.last_heard > options_.worker_silence;
}

bool Group::IsStuck(const Worker& worker) const {
  if (worker.in_flight.empty()) return false;
  core::Micros limit = options_.first_step_limit;
  if (worker.us_per_token > 0) {
    const double expected = worker.us_per_token * worker.in_flight.front().num_tokens;
    limit = std::max(options_.step_limit, static_cast<core::Micros>(10 * expected));
  }
  return now_ - worker.oldest_since > limit;
}

void Group::FailWithoutWorker() {
  for (auto& [stream_id, session] : sessions_) {
    std::vector<core::SequenceId> live;
    for (const auto& [id, unused] : session.live) live.push_back(id);
    std::sort(live.begin(), live.end());
    for (core::SequenceId id : live) {
      const bool has_begun = session.live.at(id) != core::kNever;
      const size_t before = outputs_.finished.size();
      core_.Apply(core::Cancel{.id = id}, now_, outputs_);
      if (!has_begun) {  // nothing is lost: its client may ask again
        outputs_.finished.erase(outputs_.finished.begin() + before, outputs_.finished.end());
        session.live.erase(id);
        Reject(id, v1::REJECT_CODE_NO_WORKER, "no worker is attached", kRetryAfterMs);
        continue;
      }
      for (size_t i = before; i < outputs_.finished.size(); ++i) {
        outputs_.finished[i].reason = core::FinishReason::kError;
        outputs_.finished[i].message = "no worker has been attached for too long";
      }
    }
  }
}

v1::Load Group::CurrentLoad() const {
  const core::Gauges gauges = core_.gauges();
  v1::Load load;
  load.set_num_ready_workers(gauges.num_workers_ready);
  load.set_num_running(gauges.num_running);
  load.set_num_waiting(gauges.num_waiting());
  if (gauges.num_blocks_total > 0) {
    load.set_kv_usage(static_cast<float>(gauges.num_blocks_used) / gauges.num_blocks_total);
  }
  if (!group_.fingerprint().empty()) *load.mutable_model() = group_;
  load.set_retry_after_ms(static_cast<uint32_t>(core_.retry_after() / 1000));
  return load;
}

void Group::ShareLoad() {
  load_changed_ = false;
  const v1::Load load = CurrentLoad();
  told_full_ = load.retry_after_ms() > 0;
  for (auto& [id, session] : sessions_) {
    session.peer->Tell([&](Outbox& outbox) { outbox.SetLoad(load); });
  }
}

void Group::FinishDrain() {
  if (drained_) return;
  for (const auto& [id, session] : sessions_) {
    if (!session.live.empty()) return;
  }
  drained_ = true;
  for (auto& [id, worker] : workers_) DrainWorker(worker);
  for (auto& [id, session] : sessions_) {
    session.peer->Close(ShuttingDown());
  }
}

// ---- to the gateways ----

Group::Session* Group::Touch(core::SequenceId id) {
  auto it = sessions_.find(StreamOf(id));
  if (it == sessions_.end()) return nullptr;  // its stream has ended
  if (!it->second.is_touched) {
    it->second.is_touched = true;
    touched_.push_back(it->first);
  }
  return &it->second;
}

void Group::Reject(core::SequenceId id, v1::RejectCode code, std::string message,
                   uint32_t retry_after_ms) {
  Session* session = Touch(id);
  if (session == nullptr) return;
  v1::Rejected rejected;
  rejected.set_handle(HandleOf(id));
  rejected.set_code(code);
  rejected.set_message(std::move(message));
  rejected.set_retry_after_ms(retry_after_ms);
  session->rejected.push_back(std::move(rejected));
}

void Group::Account(const core::Finished& finished) {
  metrics_.CountFinished(finished);
  if (finished.trace.sampled && options_.on_traced_end) {
    options_.on_traced_end(finished, now_);
  }
}

void Group::SortOutputs() {
  for (size_t i = 0; i < outputs_.prompt_rows.size(); ++i) {
    if (!prompt_logprobs_.contains(i)) continue;
    if (Session* session = Touch(outputs_.prompt_rows[i].id)) session->prompt_rows.push_back(i);
  }
  for (size_t i = 0; i < outputs_.tokens.size(); ++i) {
    const core::TokensOut& out = outputs_.tokens[i];
    Session* session = Touch(out.id);
    if (session == nullptr) continue;
    session->tokens.push_back(i);
    auto live = session->live.find(out.id);
    if (live == session->live.end()) continue;
    if (live->second != core::kNever) {
      metrics_.inter_token_seconds.Observe((now_ - live->second) * 1e-6 / out.num_tokens);
    }
    live->second = now_;
  }
  for (const core::Finished& finished : outputs_.finished) {
    Session* session = Touch(finished.id);
    if (session == nullptr) continue;
    Account(finished);
    session->live.erase(finished.id);
    session->finished.push_back(ToProto(finished));
  }
  for (const core::Rejected& rejected : outputs_.rejected) {
    if (Session* session = Touch(rejected.id)) session->rejected.push_back(ToProto(rejected));
  }
}

void Group::Deliver() {
  SortOutputs();
  for (uint64_t id : touched_) {
    auto session = sessions_.find(id);
    if (session != sessions_.end()) TellSession(id, session->second);
  }
  touched_.clear();
  outputs_.Clear();
  logprobs_.clear();
  prompt_logprobs_.clear();
}

void Group::TellSession(uint64_t stream_id, Session& session) {
  const Told told = session.peer->Tell([&](Outbox& outbox) {
    for (size_t i : session.prompt_rows) {
      outbox.AddPromptLogprobs(HandleOf(outputs_.prompt_rows[i].id),
                               std::move(prompt_logprobs_.at(i)));
    }
    for (size_t i : session.tokens) {
      const core::TokensOut& out = outputs_.tokens[i];
      auto logprobs = logprobs_.find(i);
      outbox.AddTokens(HandleOf(out.id), static_cast<uint32_t>(out.first_index), outputs_.Ids(out),
                       logprobs == logprobs_.end() ? std::vector<v1::TokenLogprobs>()
                                                   : std::move(logprobs->second));
    }
    for (v1::Finished& f : session.finished) outbox.AddFinished(std::move(f));
    for (v1::Rejected& r : session.rejected) {
      metrics_.CountRejected(r.code());
      outbox.AddRejected(std::move(r));
    }
  });
  session.tokens.clear();
  session.prompt_rows.clear();
  session.finished.clear();
  session.rejected.clear();
  session.is_touched = false;
  if (told == Told::kCut) {  // its end comes as mail
    spdlog::warn("gateway stream {} cut off: it reads too slowly", stream_id);
    metrics_.sessions_cut.Increment();
  }
}

}  // namespace weft::scheduler
