// The scheduler's one thread: gRPC's threads translate what peers send and post it here.
// A turn of it: take all mail, tell the group, let it do what follows.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "absl/status/status.h"
#include "scheduler/rpc/group.h"
#include "scheduler/rpc/mailbox.h"

namespace weft::scheduler {

class Loop final : public GatewayListener, public WorkerListener {
 public:
  // Starts the thread. `metrics` must outlive the loop.
  Loop(GroupOptions options, SchedulerMetrics& metrics);
  // Ends it, wherever it is. The streams must be gone: stop the server first.
  ~Loop() override;

  // Refuses what is new from here on. Any thread.
  void Drain();
  // Sends gateways and workers, with what is open, to who leads now: group.h. Any thread.
  void HandOver(const std::string& leader);
  // Blocks until nothing that was accepted is open here and the workers and gateways
  // have been told to leave. After Drain or HandOver.
  void AwaitDrained();
  bool IsDrained() const;
  // Connected. Any thread.
  int num_gateways() const { return num_gateways_; }
  // OK while a worker is attached and nothing drains. Any thread.
  absl::Status Ready() const;
  // What /debug/state shows. Waits for the loop's thread, at most a second: then nothing. Any
  // thread but that.
  std::optional<DebugFacts> Describe();

  void OnGatewayHello(std::shared_ptr<GatewayPeer> peer, const v1::GatewayHello& hello) override;
  void OnSubmit(uint64_t stream_id, const v1::Submit& submit) override;
  void OnConclude(uint64_t stream_id, const v1::Conclude& conclude) override;
  void OnCancel(uint64_t stream_id, const v1::Cancel& cancel) override;
  void OnGatewayGone(uint64_t stream_id) override;

  void OnWorkerHello(std::shared_ptr<WorkerPeer> peer, const v1::WorkerHello& hello) override;
  void OnStepDone(uint64_t stream_id, const v1::StepDone& done) override;
  void OnHeartbeat(uint64_t stream_id) override;
  void OnFault(uint64_t stream_id, const v1::Fault& fault) override;
  void OnLeaving(uint64_t stream_id) override;
  void OnWorkerGone(uint64_t stream_id, bool clean) override;

 private:
  struct DescribeMail {
    std::promise<DebugFacts> facts;
  };
  struct DrainMail {};
  struct HandOverMail {
    std::string leader;
  };
  struct StopMail {};
  using Mail = std::variant<GatewayCame, Submitted, core::Conclude, core::Cancel, GatewayGone,
                            WorkerCame, StepAnswered, WorkerHeard, WorkerFailed, WorkerLeaves,
                            WorkerGone, DescribeMail, DrainMail, HandOverMail, StopMail>;

  void Run();
  template <typename Event>
  void Handle(Event& event, core::Micros now) {
    group_.Apply(event, now);
  }
  void Handle(DescribeMail& mail, core::Micros now);
  void Handle(DrainMail& mail, core::Micros now);
  void Handle(HandOverMail& mail, core::Micros now);
  void Handle(StopMail& mail, core::Micros now);
  void Publish();

  Mailbox<Mail> mailbox_;
  std::atomic<bool> draining_{false};
  // The group's, for other threads. What gRPC's check ids against; 0 before the first worker.
  std::atomic<int> vocab_size_{0};
  std::atomic<int> num_workers_ready_{0};
  std::atomic<int> num_gateways_{0};

  Group group_;  // this, and what follows: the loop's thread
  bool stopped_ = false;

  mutable std::mutex drained_mutex_;
  std::condition_variable drained_changed_;
  bool drained_ = false;

  std::thread thread_;  // last: everything above is there when it starts
};

}  // namespace weft::scheduler
