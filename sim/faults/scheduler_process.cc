#include "sim/faults/scheduler_process.h"

#include <algorithm>
#include <utility>

namespace weft::sim {
namespace {

// The core's own rules are checked the slow way: not at each turn.
constexpr int kTurnsPerCheck = 8;

}  // namespace

// A gateway's stream: one write at a time, the next when the gateway has dealt with it.
class SchedulerProcess::Gateway final : public scheduler::GatewayPeer,
                                        public std::enable_shared_from_this<Gateway> {
 public:
  Gateway(SchedulerProcess& owner, uint64_t id, std::shared_ptr<GatewayLink> link)
      : frames(owner, id, owner.options_.epoch),
        link_(std::move(link)),
        id_(id),
        epoch_(owner.options_.epoch),
        max_bytes_(owner.max_outbox_bytes_) {}

  uint64_t id() const override { return id_; }
  scheduler::Told Tell(absl::FunctionRef<void(scheduler::Outbox&)> add) override {
    if (is_closed_) return scheduler::Told::kEnded;
    add(outbox_);
    Pump();
    if (outbox_.num_bytes() <= max_bytes_) return scheduler::Told::kYes;
    outbox_.Clear();
    is_closed_ = true;
    link_->Break();
    return scheduler::Told::kCut;
  }
  void Close(const absl::Status&) override {
    is_closing_ = true;
    Pump();
  }
  void OnWritten() {
    is_writing_ = false;
    Pump();
  }
  void OnEnd() { is_closed_ = true; }

  scheduler::GatewayFrames frames;

 private:
  void Pump() {
    if (is_writing_ || is_closed_) return;
    v1::SchedulerFrame frame;
    if (outbox_.Take(epoch_, frame)) {
      is_writing_ = true;
      link_->SendDown(std::move(frame));
    } else if (is_closing_) {
      is_closed_ = true;
      link_->CloseByServer();
    }
  }

  const std::shared_ptr<GatewayLink> link_;
  const uint64_t id_;
  const uint64_t epoch_;
  const size_t max_bytes_;
  scheduler::Outbox outbox_;
  bool is_writing_ = false;
  bool is_closing_ = false;
  bool is_closed_ = false;
};

class SchedulerProcess::Worker final : public scheduler::WorkerPeer,
                                       public std::enable_shared_from_this<Worker> {
 public:
  Worker(SchedulerProcess& owner, uint64_t id, std::shared_ptr<WorkerLink> link)
      : frames(owner, id, owner.options_.epoch),
        link_(std::move(link)),
        id_(id),
        epoch_(owner.options_.epoch) {}

  uint64_t id() const override { return id_; }
  std::unique_ptr<v1::WorkerCommand> NewCommand() override {
    auto command = std::make_unique<v1::WorkerCommand>();
    command->set_epoch(epoch_);
    return command;
  }
  void Send(std::unique_ptr<v1::WorkerCommand> command) override {
    link_->SendDown(std::move(*command));
  }
  void Close(const absl::Status&) override { link_->CloseByServer(); }
  void Cut() override { link_->Break(); }

  scheduler::WorkerFrames frames;

 private:
  const std::shared_ptr<WorkerLink> link_;
  const uint64_t id_;
  const uint64_t epoch_;
};

SchedulerProcess::SchedulerProcess(Environment& environment, const scheduler::GroupOptions& options,
                                   size_t max_outbox_bytes)
    : Process(environment),
      options_(options),
      max_outbox_bytes_(max_outbox_bytes),
      group_(options, metrics_, environment.clock.now_us()) {}

void SchedulerProcess::Accept(std::shared_ptr<GatewayLink> link) {
  const auto peer = std::make_shared<Gateway>(*this, ++last_stream_id_, link);
  const auto self = shared_from_this();
  gateway_links_.push_back(link);
  link->on_up = [self, peer](const v1::GatewayFrame& frame) {
    self->Post([self, peer, frame] {
      const absl::Status read = peer->frames.Read(frame, [&] { return peer; });
      if (!read.ok()) peer->Close(read);
    });
  };
  link->on_server_end = [self, peer](bool) {
    self->Post([self, peer] {
      peer->OnEnd();
      peer->frames.End();
    });
  };
  link->on_consumed = [self, peer] {
    if (!self->is_dead()) peer->OnWritten();
  };
}

void SchedulerProcess::Accept(std::shared_ptr<WorkerLink> link) {
  const auto peer = std::make_shared<Worker>(*this, ++last_stream_id_, link);
  const auto self = shared_from_this();
  worker_links_.push_back(link);
  link->on_up = [self, peer](const v1::WorkerFrame& frame) {
    self->Post([self, peer, frame] {
      const absl::Status read = peer->frames.Read(frame, [&] { return peer; });
      if (!read.ok()) peer->Close(read);
    });
  };
  link->on_server_end = [self, peer](bool clean) {
    self->Post([self, peer, clean] { peer->frames.End(clean); });
  };
}

void SchedulerProcess::Crash() {
  Die();
  for (const auto& weak : gateway_links_) {
    if (const auto link = weak.lock()) link->Break();
  }
  for (const auto& weak : worker_links_) {
    if (const auto link = weak.lock()) link->Break();
  }
}

void SchedulerProcess::Drain(std::function<void()> done) {
  Post([this, done = std::move(done)] {
    group_.Drain();
    on_drained_ = done;
  });
}

void SchedulerProcess::HandOver(const std::string& leader) {
  Post([this, leader] { group_.HandOver(leader); });
}

void SchedulerProcess::Turn() {
  group_.Turn(own_now());
  TurnAtOwn(group_.next_turn());
  if (group_.drained() && on_drained_) std::exchange(on_drained_, nullptr)();
  if (++num_turns_ % kTurnsPerCheck != 0) return;
  const absl::Status status = group_.CheckInvariants();
  env_.require(status.ok(), std::string(status.message()));
}

void SchedulerProcess::OnGatewayHello(std::shared_ptr<scheduler::GatewayPeer> peer,
                                      const v1::GatewayHello& hello) {
  Apply(scheduler::GatewayCame{std::move(peer), hello.gateway_id()});
}
void SchedulerProcess::OnSubmit(uint64_t stream_id, const v1::Submit& submit) {
  Apply(scheduler::ReadSubmit(stream_id, submit, group_.vocab_size(), own_now()));
}
void SchedulerProcess::OnConclude(uint64_t stream_id, const v1::Conclude& conclude) {
  Apply(scheduler::ReadConclude(stream_id, conclude));
}
void SchedulerProcess::OnCancel(uint64_t stream_id, const v1::Cancel& cancel) {
  Apply(core::Cancel{.id = scheduler::SequenceIdOf(stream_id, cancel.handle())});
}
void SchedulerProcess::OnGatewayGone(uint64_t stream_id) {
  Apply(scheduler::GatewayGone{stream_id});
}
void SchedulerProcess::OnWorkerHello(std::shared_ptr<scheduler::WorkerPeer> peer,
                                     const v1::WorkerHello& hello) {
  Apply(scheduler::WorkerCame{std::move(peer), hello});
}
void SchedulerProcess::OnStepDone(uint64_t stream_id, const v1::StepDone& done) {
  Apply(scheduler::StepAnswered{stream_id, scheduler::FromProto(done)});
}
void SchedulerProcess::OnHeartbeat(uint64_t stream_id) { Apply(scheduler::WorkerHeard{stream_id}); }
void SchedulerProcess::OnFault(uint64_t stream_id, const v1::Fault& fault) {
  Apply(scheduler::ReadFault(stream_id, fault));
}
void SchedulerProcess::OnLeaving(uint64_t stream_id) { Apply(scheduler::WorkerLeaves{stream_id}); }
void SchedulerProcess::OnWorkerGone(uint64_t stream_id, bool clean) {
  Apply(scheduler::WorkerGone{stream_id, clean});
}

}  // namespace weft::sim
