// A simulated worker: the real codec around a device that only remembers (model_worker.h).
#pragma once

#include <deque>
#include <memory>

#include "sim/faults/process.h"
#include "sim/model_worker.h"

namespace weft::sim {

// A worker that starts again when it has died.
class WorkerProcess final : public Process, public std::enable_shared_from_this<WorkerProcess> {
 public:
  WorkerProcess(Environment& environment, int index, const core::WorkerLimits& limits,
                const ModelFaults& faults, int num_schedulers, double slow_chance);

  void Start() {
    Post([this] { Dial(); });
  }
  // Its process ends; what it knew is lost. False: it had no stream yet.
  bool Crash();
  // Says goodbye, leaves when it is told to, and comes back. False: it is not there.
  bool Leave();
  // What its next step comes to, unless it has a new device by then.
  enum class Ailment { kNone, kFails, kHangs };
  void Ail(Ailment ailment) { ailment_ = ailment; }
  const std::shared_ptr<WorkerLink>& link() const { return link_; }
  bool is_welcomed() const { return is_welcomed_; }
  int num_attachments() const { return attachment_; }  // so far; also failed ones

 private:
  void Turn() override {}
  void Dial();
  void OnCommand(const v1::WorkerCommand& command);
  void OnLinkEnd();
  void Detach();
  void StartNextStep();
  void FinishStep(const StepAnswer& answer, Micros took);
  void Heartbeat(int attachment);
  void Send(v1::WorkerFrame frame);

  const int index_;
  const core::WorkerLimits limits_;
  const ModelFaults faults_;
  const int num_schedulers_;
  const double slow_chance_;
  std::unique_ptr<ModelWorker> model_;
  std::shared_ptr<WorkerLink> link_;
  int next_scheduler_ = 0;
  uint64_t epoch_ = 0;  // the highest ever seen
  bool is_welcomed_ = false;
  bool is_busy_ = false;
  Ailment ailment_ = Ailment::kNone;
  int attachment_ = 0;  // what belongs to an earlier one is void
  std::deque<v1::Step> inbox_;
};

}  // namespace weft::sim
