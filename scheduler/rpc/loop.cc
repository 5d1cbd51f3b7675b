#include "scheduler/rpc/loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"

namespace weft::scheduler {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr core::Micros kHousekeeping = 250'000;
constexpr core::Micros kLoadInterval = 1'000'000;
constexpr int kMaxDescribed = 1000;
// What a client should wait when it is refused for want of a worker or because
// this scheduler ends: about what a worker takes to start.
constexpr uint32_t kRetryAfterMs = 2000;

core::Micros Now() {
  return std::chrono::duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

steady_clock::time_point AtMicros(core::Micros t) {
  return steady_clock::time_point(microseconds(t));
}

}  // namespace

Loop::Loop(const LoopOptions& options, SchedulerMetrics& metrics)
    : options_(options), metrics_(metrics), core_(options.core), thread_([this] { Run(); }) {}

Loop::~Loop() {
  mailbox_.Post(StopMail{});
  thread_.join();
}

void Loop::Drain() {
  draining_ = true;
  mailbox_.Post(DrainMail{});
}

void Loop::AwaitDrained() {
  std::unique_lock lock(drained_mutex_);
  drained_changed_.wait(lock, [&] { return drained_; });
}

absl::Status Loop::Ready() const {
  if (draining_) return absl::UnavailableError("draining");
  if (num_workers_ready_ == 0) return absl::UnavailableError("no worker is attached");
  return absl::OkStatus();
}

std::optional<DebugFacts> Loop::Describe() {
  DescribeMail mail;
  std::future<DebugFacts> facts = mail.facts.get_future();
  mailbox_.Post(std::move(mail));
  if (facts.wait_for(std::chrono::seconds(1)) != std::future_status::ready) return std::nullopt;
  return facts.get();
}

// ---- gRPC's threads ----

void Loop::OnGatewayHello(std::shared_ptr<GatewayStream> stream, const v1::GatewayHello& hello) {
  mailbox_.Post(GatewayHelloMail{std::move(stream), hello.gateway_id()});
}

void Loop::OnSubmit(uint64_t stream_id, const v1::Submit& proto) {
  const core::SequenceId id = SequenceIdOf(stream_id, proto.handle());
  const int vocab_size = vocab_size_;
  absl::StatusOr<core::Submit> submit = FromProto(proto, id, Now());
  if (submit.ok() && vocab_size > 0) {
    if (auto s = CheckSubmit(*submit, vocab_size); !s.ok()) submit = s;
  }
  mailbox_.Post(SubmitMail{id, std::move(submit), vocab_size > 0});
}

void Loop::OnConclude(uint64_t stream_id, const v1::Conclude& conclude) {
  mailbox_.Post(core::Conclude{.id = SequenceIdOf(stream_id, conclude.handle()),
                               .num_tokens = static_cast<int>(conclude.num_tokens() & 0x7fffffff)});
}

void Loop::OnCancel(uint64_t stream_id, const v1::Cancel& cancel) {
  mailbox_.Post(core::Cancel{.id = SequenceIdOf(stream_id, cancel.handle())});
}

void Loop::OnGatewayGone(uint64_t stream_id) { mailbox_.Post(GatewayGoneMail{stream_id}); }

void Loop::OnWorkerHello(std::shared_ptr<WorkerStream> stream, const v1::WorkerHello& hello) {
  mailbox_.Post(WorkerHelloMail{std::move(stream), hello});
}

void Loop::OnStepDone(uint64_t stream_id, const v1::StepDone& done) {
  mailbox_.Post(StepDoneMail{stream_id, FromProto(done)});
}

void Loop::OnHeartbeat(uint64_t stream_id) { mailbox_.Post(HeartbeatMail{stream_id}); }

void Loop::OnFault(uint64_t stream_id, const v1::Fault& fault) {
  mailbox_.Post(
      FaultMail{stream_id, absl::StrCat("step ", fault.step_id(), ": ", fault.message())});
}

void Loop::OnLeaving(uint64_t stream_id) { mailbox_.Post(LeavingMail{stream_id}); }

void Loop::OnWorkerGone(uint64_t stream_id, bool clean) {
  mailbox_.Post(WorkerGoneMail{stream_id, clean});
}

// ---- the loop's thread ----

void Loop::Run() {
  std::vector<Mail> batch;
  now_ = no_worker_since_ = Now();
  while (!stopped_) {
    const core::Micros wake = std::min(core_.next_deadline(), next_housekeeping_);
    mailbox_.TakeUntil(AtMicros(wake), batch);
    now_ = Now();
    for (Mail& mail : batch) {
      std::visit([this](auto& m) { Handle(m); }, mail);
    }
    if (now_ >= core_.next_deadline()) core_.Apply(core::Tick{}, now_, outputs_);
    if (now_ >= next_housekeeping_) Housekeep();
    PlanSteps();  // before Deliver: a worker may be idle
    Deliver();
    if (load_changed_) ShareLoad();
    if (draining_) FinishDrain();
  }
}

void Loop::PlanSteps() {
  while (true) {
    const core::Micros began = Now();
    if (!core_.Plan(now_, step_)) return;
    metrics_.plan_seconds.Observe((Now() - began) * 1e-6);
    Worker& worker = workers_.at(step_.worker);
    int num_tokens = 0;
    for (const core::StepRow& row : step_.rows) num_tokens += row.num_tokens;
    metrics_.step_tokens.Observe(num_tokens);
    if (worker.in_flight.empty()) worker.oldest_since = now_;
    worker.in_flight.push_back({.step_id = step_.step_id, .num_tokens = num_tokens});
    std::unique_ptr<v1::WorkerCommand> command = worker.stream->NewCommand();
    ToProto(step_, *command->mutable_step());
    worker.stream->Send(std::move(command));
  }
}

void Loop::Handle(GatewayHelloMail& mail) {
  const uint64_t id = mail.stream->id();
  spdlog::info("gateway {} connected", mail.gateway_id);
  mail.stream->Tell([&](Outbox& outbox) {
    outbox.SetWelcome();
    outbox.SetLoad(CurrentLoad());
  });
  sessions_[id].stream = std::move(mail.stream);
  metrics_.sessions.Set(static_cast<double>(sessions_.size()));
}

void Loop::Handle(SubmitMail& mail) {
  auto session = sessions_.find(StreamOf(mail.id));
  if (session == sessions_.end()) return;
  if (mail.submit.ok() && !mail.checked && vocab_size_ > 0) {
    if (auto s = CheckSubmit(*mail.submit, vocab_size_); !s.ok()) mail.submit = s;
  }
  if (!mail.submit.ok()) {
    return Reject(mail.id, v1::REJECT_CODE_INVALID, std::string(mail.submit.status().message()), 0);
  }
  if (draining_) {
    return Reject(mail.id, v1::REJECT_CODE_DRAINING, "this scheduler is shutting down",
                  kRetryAfterMs);
  }
  if (workers_.empty() && now_ - no_worker_since_ > options_.no_worker_patience) {
    return Reject(mail.id, v1::REJECT_CODE_NO_WORKER, "no worker is attached", kRetryAfterMs);
  }
  const size_t num_rejected = outputs_.rejected.size();
  core_.Apply(std::move(*mail.submit), now_, outputs_);
  if (outputs_.rejected.size() == num_rejected) session->second.live.emplace(mail.id, core::kNever);
}

void Loop::Handle(core::Conclude& mail) { core_.Apply(mail, now_, outputs_); }

void Loop::Handle(core::Cancel& mail) { core_.Apply(mail, now_, outputs_); }

void Loop::Handle(GatewayGoneMail& mail) {
  auto it = sessions_.find(mail.stream_id);
  if (it == sessions_.end()) return;  // cut before
  std::vector<core::SequenceId> live;
  for (const auto& [id, unused] : it->second.live) live.push_back(id);
  std::sort(live.begin(), live.end());
  spdlog::info("gateway stream {} ended with {} sequences open", mail.stream_id, live.size());
  for (core::SequenceId id : live) core_.Apply(core::Cancel{.id = id}, now_, outputs_);
  for (const core::Finished& f : outputs_.finished) {
    if (StreamOf(f.id) == mail.stream_id) metrics_.CountFinished(f);
  }
  sessions_.erase(it);
  metrics_.sessions.Set(static_cast<double>(sessions_.size()));
}

void Loop::Handle(WorkerHelloMail& mail) {
  const uint64_t id = mail.stream->id();
  const v1::WorkerHello& hello = mail.hello;
  auto refuse = [&](const absl::Status& status) {
    spdlog::error("worker {} refused: {}", hello.worker_id(), std::string(status.message()));
    mail.stream->Close(ToGrpc(status));
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
  worker.stream = std::move(mail.stream);
  if (group_.fingerprint().empty()) vocab_size_ = limits->vocab_size;
  std::unique_ptr<v1::WorkerCommand> command = worker.stream->NewCommand();
  command->mutable_welcome()->set_heartbeat_ms(static_cast<uint32_t>(options_.heartbeat / 1000));
  worker.stream->Send(std::move(command));
  group_.set_fingerprint(hello.fingerprint());
  WorkersChanged();
  spdlog::info("worker {} attached: {}, {} KV blocks of {} tokens, {} rows", worker.name,
               hello.device(), limits->num_blocks, limits->block_tokens, limits->max_rows);
}

void Loop::Handle(DescribeMail& mail) {
  DebugFacts facts = {.snapshot = core_.Describe(kMaxDescribed),
                      .term = options_.epoch,
                      .num_gateways = static_cast<int>(sessions_.size()),
                      .now = now_};
  for (const auto& [id, worker] : workers_) facts.worker_names[id] = worker.name;
  mail.facts.set_value(std::move(facts));
}

void Loop::Handle(StepDoneMail& mail) {
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
    return LoseWorker(mail.stream_id, ToGrpc(status));
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
void Loop::AttachLogprobs(StepAnswer& answer, size_t first_output) {
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

void Loop::AttachPromptLogprobs(StepAnswer& answer, size_t first_row) {
  for (size_t i = first_row; i < outputs_.prompt_rows.size(); ++i) {
    const auto row = static_cast<uint32_t>(outputs_.prompt_rows[i].row);
    const auto it = std::lower_bound(
        answer.prompt_logprobs.begin(), answer.prompt_logprobs.end(), row,
        [](const v1::RowPromptLogprobs& l, uint32_t sought) { return l.row() < sought; });
    if (it == answer.prompt_logprobs.end() || it->row() != row) continue;
    prompt_logprobs_.emplace(i, std::move(*it->mutable_logprobs()));
  }
}

void Loop::Handle(HeartbeatMail& mail) {
  auto it = workers_.find(mail.stream_id);
  if (it != workers_.end()) it->second.last_heard = now_;
}

void Loop::Handle(FaultMail& mail) {
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end()) return;
  spdlog::error("worker {} reports: {}", it->second.name, mail.message);
  LoseWorker(mail.stream_id, {grpc::StatusCode::ABORTED, "after its fault"});
}

void Loop::Handle(LeavingMail& mail) {
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end() || it->second.is_leaving) return;
  spdlog::info("worker {} leaves", it->second.name);
  it->second.is_leaving = true;
  core_.Apply(core::WorkerDraining{.worker = mail.stream_id}, now_, outputs_);
  WorkersChanged();
  DrainWorker(it->second);
}

void Loop::Handle(WorkerGoneMail& mail) {
  auto it = workers_.find(mail.stream_id);
  if (it == workers_.end()) return;
  if (mail.clean && it->second.was_drained) {
    spdlog::info("worker {} has left", it->second.name);
    core_.Apply(core::WorkerLost{.worker = mail.stream_id}, now_, outputs_);
    return ForgetWorker(mail.stream_id);
  }
  spdlog::warn("worker {} lost: its stream ended", it->second.name);
  LoseWorker(mail.stream_id, grpc::Status::OK);
}

void Loop::Handle(DrainMail&) { spdlog::info("draining: {} running", core_.gauges().num_running); }

void Loop::Handle(StopMail&) { stopped_ = true; }

void Loop::LoseWorker(uint64_t stream_id, const grpc::Status& status) {
  metrics_.workers_lost.Increment();
  workers_.at(stream_id).stream->Close(status);
  core_.Apply(core::WorkerLost{.worker = stream_id}, now_, outputs_);
  ForgetWorker(stream_id);
}

void Loop::ForgetWorker(uint64_t stream_id) {
  workers_.erase(stream_id);
  if (workers_.empty()) no_worker_since_ = now_;
  WorkersChanged();
}

void Loop::WorkersChanged() {
  load_changed_ = true;
  num_workers_ready_ = core_.gauges().num_workers_ready;
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

void Loop::DrainWorker(Worker& worker) {
  if (worker.was_drained || !worker.in_flight.empty()) return;
  worker.was_drained = true;
  std::unique_ptr<v1::WorkerCommand> command = worker.stream->NewCommand();
  command->mutable_drain();
  worker.stream->Send(std::move(command));
}

// ---- now and then ----

void Loop::Housekeep() {
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

void Loop::CheckWorkers() {
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
    std::shared_ptr<WorkerStream> stream = workers_.at(id).stream;
    LoseWorker(id, {grpc::StatusCode::DEADLINE_EXCEEDED, "silent, or stuck in a step"});
    stream->Cut();  // it may never read that
  }
  metrics_.heartbeat_age.Set(oldest * 1e-6);
}

bool Loop::IsSilent(const Worker& worker) const {
  return now_ - worker.last_heard > options_.worker_silence;
}

bool Loop::IsStuck(const Worker& worker) const {
  if (worker.in_flight.empty()) return false;
  core::Micros limit = options_.first_step_limit;
  if (worker.us_per_token > 0) {
    const double expected = worker.us_per_token * worker.in_flight.front().num_tokens;
    limit = std::max(options_.step_limit, static_cast<core::Micros>(10 * expected));
  }
  return now_ - worker.oldest_since > limit;
}

void Loop::FailWithoutWorker() {
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

v1::Load Loop::CurrentLoad() const {
  const core::Gauges gauges = core_.gauges();
  v1::Load load;
  load.set_num_ready_workers(gauges.num_workers_ready);
  load.set_num_running(gauges.num_running);
  load.set_num_waiting(gauges.num_waiting());
  if (gauges.num_blocks_total > 0) {
    load.set_kv_usage(static_cast<float>(gauges.num_blocks_used) / gauges.num_blocks_total);
  }
  if (!group_.fingerprint().empty()) *load.mutable_model() = group_;
  return load;
}

void Loop::ShareLoad() {
  load_changed_ = false;
  const v1::Load load = CurrentLoad();
  for (auto& [id, session] : sessions_) {
    session.stream->Tell([&](Outbox& outbox) { outbox.SetLoad(load); });
  }
}

void Loop::FinishDrain() {
  for (const auto& [id, session] : sessions_) {
    if (!session.live.empty()) return;
  }
  {
    std::lock_guard lock(drained_mutex_);
    if (drained_) return;
    drained_ = true;
  }
  for (auto& [id, worker] : workers_) DrainWorker(worker);
  for (auto& [id, session] : sessions_) {
    session.stream->Close({grpc::StatusCode::UNAVAILABLE, "this scheduler is shutting down"});
  }
  drained_changed_.notify_all();
}

// ---- to the gateways ----

Loop::Session* Loop::Touch(core::SequenceId id) {
  auto it = sessions_.find(StreamOf(id));
  if (it == sessions_.end()) return nullptr;  // its stream has ended
  if (!it->second.is_touched) {
    it->second.is_touched = true;
    touched_.push_back(it->first);
  }
  return &it->second;
}

void Loop::Reject(core::SequenceId id, v1::RejectCode code, std::string message,
                  uint32_t retry_after_ms) {
  Session* session = Touch(id);
  if (session == nullptr) return;
  v1::Rejected rejected;
  rejected.set_handle(HandleOf(id));
  rejected.set_code(code);
  rejected.set_message(std::move(message));
  rejected.set_retry_after_ms(retry_after_ms);
  session->rejected.push_back(std::move(rejected));
  metrics_.rejected.Increment();
}

void Loop::SortOutputs() {
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
    metrics_.CountFinished(finished);
    session->live.erase(finished.id);
    session->finished.push_back(ToProto(finished));
  }
  for (const core::Rejected& rejected : outputs_.rejected) {
    if (Session* session = Touch(rejected.id)) session->rejected.push_back(ToProto(rejected));
  }
}

void Loop::Deliver() {
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

void Loop::TellSession(uint64_t stream_id, Session& session) {
  const Told told = session.stream->Tell([&](Outbox& outbox) {
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
    for (v1::Rejected& r : session.rejected) outbox.AddRejected(std::move(r));
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
