#include "sim/faults/gateway_process.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weft::sim {

GatewayProcess::GatewayProcess(Environment& environment, std::string name, int num_schedulers,
                               Micros consume_time, Micros recovery_wait)
    : Process(environment),
      num_schedulers_(num_schedulers),
      consume_time_(consume_time),
      session_({.gateway_id = std::move(name),
                .recovery_wait = std::chrono::milliseconds(recovery_wait / 1000)}) {}

void GatewayProcess::Open(gateway::SequenceId id, gateway::Submission submission,
                          std::shared_ptr<gateway::SequenceSink> sink) {
  Post([this, id, submission = std::move(submission), sink = std::move(sink)] {
    session_.Open(id, submission, sink, time());
  });
}

void GatewayProcess::Cancel(gateway::SequenceId id, std::function<void()> done) {
  Post([this, id, done = std::move(done)] {
    session_.Cancel(id);
    done();
  });
}

void GatewayProcess::Crash() {
  Die();
  if (link_) link_->Break();
}

void GatewayProcess::Dial() {
  const std::optional<int> leader = NumberOf(session_.TakeLeader());
  const int scheduler = leader.value_or(next_scheduler_);
  next_scheduler_ = (scheduler + 1) % num_schedulers_;
  link_ = std::make_shared<GatewayLink>(env_.clock, env_.random);
  const auto self = shared_from_this();
  link_->on_down = [self, link = link_.get()](const v1::SchedulerFrame& frame) {
    self->Post([self, link, frame] {
      if (self->link_.get() != link) return;
      const bool was_welcomed = self->session_.state().welcomed;
      self->session_.Receive(frame, self->time());
      if (!was_welcomed && self->session_.state().welcomed) self->redial_after_ = 50'000;
      self->env_.clock.After(self->env_.random.Between(0, static_cast<int>(self->consume_time_)),
                             [link = self->link_] { link->Consumed(); });
    });
  };
  link_->on_client_end = [self, link = link_.get()] {
    self->Post([self, link] {
      if (self->link_.get() == link) self->OnLinkEnd();
    });
  };
  session_.LinkUp(time());
  env_.dial_gateway(scheduler, link_);
}

void GatewayProcess::OnLinkEnd() {
  link_.reset();
  session_.LinkDown(time());
  env_.clock.After(redial_after_,
                   [self = shared_from_this()] { self->Post([self] { self->Dial(); }); });
  redial_after_ = std::min<Micros>(2 * redial_after_, 1'000'000);
}

void GatewayProcess::Turn() {
  session_.Tick(time());
  if (link_ && session_.wants_new_link()) {
    link_->CloseByClient();
    OnLinkEnd();
  }
  if (link_) {
    for (v1::GatewayFrame& frame : session_.TakeOutgoing()) link_->SendUp(std::move(frame));
  }
  if (const auto wakeup = session_.NextWakeup()) {
    TurnAtOwn(
        std::chrono::duration_cast<std::chrono::microseconds>(wakeup->time_since_epoch()).count());
  }
}

}  // namespace weft::sim
