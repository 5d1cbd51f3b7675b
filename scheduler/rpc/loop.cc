#include "scheduler/rpc/loop.h"

#include <chrono>
#include <utility>
#include <vector>

namespace weft::scheduler {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

core::Micros Now() {
  return std::chrono::duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

steady_clock::time_point AtMicros(core::Micros t) {
  return steady_clock::time_point(microseconds(t));
}

GroupOptions Measured(GroupOptions options) {
  options.stopwatch = Now;
  return options;
}

}  // namespace

Loop::Loop(GroupOptions options, SchedulerMetrics& metrics)
    : group_(Measured(std::move(options)), metrics, Now()), thread_([this] { Run(); }) {}

Loop::~Loop() {
  mailbox_.Post(StopMail{});
  thread_.join();
}

void Loop::Drain() {
  draining_ = true;
  mailbox_.Post(DrainMail{});
}

void Loop::HandOver(const std::string& leader) {
  draining_ = true;
  mailbox_.Post(HandOverMail{leader});
}

void Loop::AwaitDrained() {
  std::unique_lock lock(drained_mutex_);
  drained_changed_.wait(lock, [&] { return drained_; });
}

bool Loop::IsDrained() const {
  std::lock_guard lock(drained_mutex_);
  return drained_;
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

void Loop::OnGatewayHello(std::shared_ptr<GatewayPeer> peer, const v1::GatewayHello& hello) {
  mailbox_.Post(GatewayCame{std::move(peer), hello.gateway_id()});
}

void Loop::OnSubmit(uint64_t stream_id, const v1::Submit& submit) {
  mailbox_.Post(ReadSubmit(stream_id, submit, vocab_size_, Now()));
}

void Loop::OnConclude(uint64_t stream_id, const v1::Conclude& conclude) {
  mailbox_.Post(ReadConclude(stream_id, conclude));
}

void Loop::OnCancel(uint64_t stream_id, const v1::Cancel& cancel) {
  mailbox_.Post(core::Cancel{.id = SequenceIdOf(stream_id, cancel.handle())});
}

void Loop::OnGatewayGone(uint64_t stream_id) { mailbox_.Post(GatewayGone{stream_id}); }

void Loop::OnWorkerHello(std::shared_ptr<WorkerPeer> peer, const v1::WorkerHello& hello) {
  mailbox_.Post(WorkerCame{std::move(peer), hello});
}

void Loop::OnStepDone(uint64_t stream_id, const v1::StepDone& done) {
  mailbox_.Post(StepAnswered{stream_id, FromProto(done)});
}

void Loop::OnHeartbeat(uint64_t stream_id) { mailbox_.Post(WorkerHeard{stream_id}); }

void Loop::OnFault(uint64_t stream_id, const v1::Fault& fault) {
  mailbox_.Post(ReadFault(stream_id, fault));
}

void Loop::OnLeaving(uint64_t stream_id) { mailbox_.Post(WorkerLeaves{stream_id}); }

void Loop::OnWorkerGone(uint64_t stream_id, bool clean) {
  mailbox_.Post(WorkerGone{stream_id, clean});
}

// ---- the loop's thread ----

void Loop::Run() {
  std::vector<Mail> batch;
  while (!stopped_) {
    mailbox_.TakeUntil(AtMicros(group_.next_turn()), batch);
    const core::Micros now = Now();
    for (Mail& mail : batch) {
      std::visit([&](auto& m) { Handle(m, now); }, mail);
    }
    group_.Turn(now);
    Publish();
  }
}

void Loop::Publish() {
  vocab_size_ = group_.vocab_size();
  num_workers_ready_ = group_.num_workers_ready();
  num_gateways_ = group_.num_gateways();
  if (!group_.drained()) return;
  std::lock_guard lock(drained_mutex_);
  if (std::exchange(drained_, true)) return;
  drained_changed_.notify_all();
}

void Loop::Handle(DescribeMail& mail, core::Micros now) {
  mail.facts.set_value(group_.Describe(now));
}

void Loop::Handle(DrainMail&, core::Micros) { group_.Drain(); }

void Loop::Handle(HandOverMail& mail, core::Micros) { group_.HandOver(mail.leader); }

void Loop::Handle(StopMail&, core::Micros) { stopped_ = true; }

}  // namespace weft::scheduler
