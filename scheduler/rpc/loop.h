// The scheduler's one thread. It owns the core and everything known about
// gateways and workers; gRPC's threads translate what peers send and post it
// here. A turn of the loop: take all mail, apply it, plan and send steps, tell
// the gateways. Nothing in it waits for a peer.
//
// Peers are lost by their streams' end; a worker also by silence, by a step that
// does not end, and by a fault. Work without any worker waits for one, but not
// for ever.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "scheduler/core/core.h"
#include "scheduler/rpc/core_codec.h"
#include "scheduler/rpc/debug_page.h"
#include "scheduler/rpc/gateway_stream.h"
#include "scheduler/rpc/mailbox.h"
#include "scheduler/rpc/scheduler_metrics.h"
#include "scheduler/rpc/worker_stream.h"

namespace weft::scheduler {

struct LoopOptions {
  core::Config core;
  uint64_t epoch = 0;
  core::Micros heartbeat = 500'000;         // workers send one this often
  core::Micros worker_silence = 3'000'000;  // one that says nothing for as long is lost
  // A step that lasts longer loses its worker: ten times what that worker's steps
  // let expect, but at least this; the first one, when nothing is known, longer.
  core::Micros step_limit = 30'000'000;
  core::Micros first_step_limit = 300'000'000;
  // Sequences fail when no worker has been attached for as long.
  core::Micros no_worker_patience = 60'000'000;
};

class Loop final : public GatewayListener, public WorkerListener {
 public:
  // Starts the thread. `metrics` must outlive the loop.
  Loop(const LoopOptions& options, SchedulerMetrics& metrics);
  // Ends it, wherever it is. The streams must be gone: stop the server first.
  ~Loop() override;

  // Refuses what is new from here on. Any thread.
  void Drain();
  // Blocks until all that was accepted has ended and the workers and gateways
  // have been told to leave. After Drain.
  void AwaitDrained();
  // OK while a worker is attached and nothing drains. Any thread.
  absl::Status Ready() const;
  // What /debug/state shows. Waits for the loop's thread, at most a second: then nothing. Any
  // thread but that.
  std::optional<DebugFacts> Describe();

  void OnGatewayHello(std::shared_ptr<GatewayStream> stream,
                      const v1::GatewayHello& hello) override;
  void OnSubmit(uint64_t stream_id, const v1::Submit& submit) override;
  void OnConclude(uint64_t stream_id, const v1::Conclude& conclude) override;
  void OnCancel(uint64_t stream_id, const v1::Cancel& cancel) override;
  void OnGatewayGone(uint64_t stream_id) override;

  void OnWorkerHello(std::shared_ptr<WorkerStream> stream, const v1::WorkerHello& hello) override;
  void OnStepDone(uint64_t stream_id, const v1::StepDone& done) override;
  void OnHeartbeat(uint64_t stream_id) override;
  void OnFault(uint64_t stream_id, const v1::Fault& fault) override;
  void OnLeaving(uint64_t stream_id) override;
  void OnWorkerGone(uint64_t stream_id, bool clean) override;

 private:
  struct GatewayHelloMail {
    std::shared_ptr<GatewayStream> stream;
    std::string gateway_id;
  };
  struct SubmitMail {
    core::SequenceId id;
    absl::StatusOr<core::Submit> submit;
    bool checked;  // against the group's vocabulary
  };
  struct GatewayGoneMail {
    uint64_t stream_id;
  };
  struct WorkerHelloMail {
    std::shared_ptr<WorkerStream> stream;
    v1::WorkerHello hello;
  };
  struct StepDoneMail {
    uint64_t stream_id;
    absl::StatusOr<StepAnswer> answer;
  };
  struct HeartbeatMail {
    uint64_t stream_id;
  };
  struct FaultMail {
    uint64_t stream_id;
    std::string message;
  };
  struct LeavingMail {
    uint64_t stream_id;
  };
  struct WorkerGoneMail {
    uint64_t stream_id;
    bool clean;
  };
  struct DescribeMail {
    std::promise<DebugFacts> facts;
  };
  struct DrainMail {};
  struct StopMail {};
  using Mail =
      std::variant<GatewayHelloMail, SubmitMail, core::Conclude, core::Cancel, GatewayGoneMail,
                   WorkerHelloMail, StepDoneMail, HeartbeatMail, FaultMail, LeavingMail,
                   WorkerGoneMail, DescribeMail, DrainMail, StopMail>;

  struct Session {
    std::shared_ptr<GatewayStream> stream;
    // Its sequences that have not ended, and when each last got a token.
    absl::flat_hash_map<core::SequenceId, core::Micros> live;
    // Of this turn: indexes into outputs_.
    std::vector<size_t> tokens;
    std::vector<size_t> prompt_rows;
    std::vector<v1::Finished> finished;
    std::vector<v1::Rejected> rejected;
    bool is_touched = false;
  };

  struct StepInFlight {
    uint64_t step_id;
    int num_tokens;
  };
  struct Worker {
    std::shared_ptr<WorkerStream> stream;
    std::string name;
    v1::ModelFacts facts;
    core::Micros last_heard = 0;
    core::Micros oldest_since = 0;  // the oldest step in flight has run at most since
    double us_per_token = 0;        // what its steps took lately; 0: none has ended
    std::deque<StepInFlight> in_flight;
    bool is_leaving = false;
    bool was_drained = false;
  };

  void Run();
  // What each kind of mail does. Loop thread, as all below.
  void Handle(GatewayHelloMail& mail);
  void Handle(SubmitMail& mail);
  void Handle(core::Conclude& mail);
  void Handle(core::Cancel& mail);
  void Handle(GatewayGoneMail& mail);
  void Handle(WorkerHelloMail& mail);
  void Handle(StepDoneMail& mail);
  void Handle(HeartbeatMail& mail);
  void Handle(FaultMail& mail);
  void Handle(LeavingMail& mail);
  void Handle(WorkerGoneMail& mail);
  void Handle(DescribeMail& mail);
  void Handle(DrainMail& mail);
  void Handle(StopMail& mail);

  void PlanSteps();
  void AttachLogprobs(StepAnswer& answer, size_t first_output);
  void AttachPromptLogprobs(StepAnswer& answer, size_t first_row);
  // Hands outputs_ to the gateways, and forgets it.
  void Deliver();
  void SortOutputs();
  void TellSession(uint64_t stream_id, Session& session);
  Session* Touch(core::SequenceId id);
  void Reject(core::SequenceId id, v1::RejectCode code, std::string message,
              uint32_t retry_after_ms);

  // Lost workers and idle ones that leave; sequences without a worker; loads.
  void Housekeep();
  void CheckWorkers();
  bool IsSilent(const Worker& worker) const;
  bool IsStuck(const Worker& worker) const;
  void LoseWorker(uint64_t stream_id, const grpc::Status& status);
  void ForgetWorker(uint64_t stream_id);
  // One came, left or leaves: what gateways are told of the group.
  void WorkersChanged();
  void DrainWorker(Worker& worker);
  void FailWithoutWorker();
  void ShareLoad();
  v1::Load CurrentLoad() const;
  void FinishDrain();

  const LoopOptions options_;
  SchedulerMetrics& metrics_;
  Mailbox<Mail> mailbox_;
  // What gRPC's threads check ids against; 0 before the first worker.
  std::atomic<int> vocab_size_{0};
  std::atomic<int> num_workers_ready_{0};
  std::atomic<bool> draining_{false};

  // Loop thread.
  core::Core core_;
  core::Micros now_ = 0;
  bool stopped_ = false;
  bool load_changed_ = false;
  core::Micros next_housekeeping_ = 0;
  core::Micros next_load_ = 0;
  core::Micros no_worker_since_ = 0;  // meaningful while workers_ is empty
  std::map<uint64_t, Session> sessions_;
  std::map<uint64_t, Worker> workers_;
  v1::ModelFacts group_;  // fixed by the first worker; empty fingerprint: none yet
  core::Outputs outputs_;
  // By index into outputs_.tokens, where the sequence asked for them.
  absl::flat_hash_map<size_t, std::vector<v1::TokenLogprobs>> logprobs_;
  absl::flat_hash_map<size_t, v1::PromptLogprobs> prompt_logprobs_;  // into outputs_.prompt_rows
  std::vector<uint64_t> touched_;
  core::Step step_;

  mutable std::mutex drained_mutex_;
  std::condition_variable drained_changed_;
  bool drained_ = false;

  std::thread thread_;  // last: everything above is there when it starts
};

}  // namespace weft::scheduler
