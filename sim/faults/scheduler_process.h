// A simulated scheduler: the real group behind simulated streams.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/rpc/group.h"
#include "sim/faults/process.h"

namespace weft::sim {

// A scheduler that leads.
class SchedulerProcess final : public Process,
                               public std::enable_shared_from_this<SchedulerProcess>,
                               private scheduler::GatewayListener,
                               private scheduler::WorkerListener {
 public:
  SchedulerProcess(Environment& environment, const scheduler::GroupOptions& options,
                   size_t max_outbox_bytes);

  void Accept(std::shared_ptr<GatewayLink> link);
  void Accept(std::shared_ptr<WorkerLink> link);
  void Crash();
  // Takes nothing more, and calls `done` once all has ended.
  void Drain(std::function<void()> done);
  // Sends everybody to who leads now.
  void HandOver(const std::string& leader);

  const core::Core& core() const { return group_.core(); }
  uint64_t epoch() const { return options_.epoch; }

 private:
  class Gateway;
  class Worker;

  void Turn() override;
  template <typename Event>
  void Apply(Event event) {
    group_.Apply(event, own_now());
  }

  void OnGatewayHello(std::shared_ptr<scheduler::GatewayPeer>, const v1::GatewayHello&) override;
  void OnSubmit(uint64_t stream_id, const v1::Submit& submit) override;
  void OnConclude(uint64_t stream_id, const v1::Conclude& conclude) override;
  void OnCancel(uint64_t stream_id, const v1::Cancel& cancel) override;
  void OnGatewayGone(uint64_t stream_id) override;
  void OnWorkerHello(std::shared_ptr<scheduler::WorkerPeer>, const v1::WorkerHello&) override;
  void OnStepDone(uint64_t stream_id, const v1::StepDone& done) override;
  void OnHeartbeat(uint64_t stream_id) override;
  void OnFault(uint64_t stream_id, const v1::Fault& fault) override;
  void OnLeaving(uint64_t stream_id) override;
  void OnWorkerGone(uint64_t stream_id, bool clean) override;

  const scheduler::GroupOptions options_;
  const size_t max_outbox_bytes_;
  Metrics registry_{"simulation"};
  scheduler::SchedulerMetrics metrics_{registry_};
  scheduler::Group group_;
  std::function<void()> on_drained_;
  uint64_t last_stream_id_ = 0;
  int64_t num_turns_ = 0;
  std::vector<std::weak_ptr<GatewayLink>> gateway_links_;
  std::vector<std::weak_ptr<WorkerLink>> worker_links_;
};

}  // namespace weft::sim
