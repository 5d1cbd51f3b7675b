// What the scheduler knows of its gateways and workers and does about them: who is told
// what, who is lost, who has waited too long. All of the scheduler but threads, streams and
// clocks, so that a simulation drives the real one; loop.h is the thread around it.
//
// Events come in through Apply, and behind a number of them one Turn: it plans and sends
// steps, tells the gateways, and does what is due. Nothing in it waits for a peer.
//
// Peers are lost by their streams' end; a worker also by silence, by a step that
// does not end, and by a fault. Work without any worker waits for one, but not
// for ever.
//
// Thread safety: none; one thread owns it. `now` never goes back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/core/core.h"
#include "scheduler/rpc/core_codec.h"
#include "scheduler/rpc/debug_page.h"
#include "scheduler/rpc/peers.h"
#include "scheduler/rpc/scheduler_metrics.h"

namespace weft::scheduler {

struct GroupOptions {
  core::Config core;
  uint64_t epoch = 0;
  core::Micros heartbeat = 500'000;  // workers send one this often
  // A worker that says nothing for as long is lost. It is looked at four times a second:
  // noticed within 3 s.
  core::Micros worker_silence = 2'700'000;
  // A step that lasts longer loses its worker: ten times what that worker's steps
  // let expect, but at least this; the first one, when nothing is known, longer.
  core::Micros step_limit = 30'000'000;
  core::Micros first_step_limit = 300'000'000;
  // Sequences fail when no worker has been attached for as long.
  core::Micros no_worker_patience = 60'000'000;
  // Measures planning; null: it is not measured.
  core::Micros (*stopwatch)() = nullptr;
  // Told of each sequence that has ended and whose trace is recorded; may be empty. Called
  // within Apply and Turn.
  std::function<void(const core::Finished& finished, core::Micros now)> on_traced_end;
};

// ---- what peers do; core::Conclude and core::Cancel besides ----

struct GatewayCame {
  std::shared_ptr<GatewayPeer> peer;
  std::string gateway_id;
};
struct Submitted {
  core::SequenceId id = 0;
  absl::StatusOr<core::Submit> submit;
  bool checked = false;  // against the group's vocabulary
};
struct GatewayGone {
  uint64_t stream_id = 0;
};
struct WorkerCame {
  std::shared_ptr<WorkerPeer> peer;
  v1::WorkerHello hello;
};
struct StepAnswered {
  uint64_t stream_id = 0;
  absl::StatusOr<StepAnswer> answer;
};
struct WorkerHeard {
  uint64_t stream_id = 0;
};
struct WorkerFailed {
  uint64_t stream_id = 0;
  std::string message;
};
struct WorkerLeaves {
  uint64_t stream_id = 0;
};
struct WorkerGone {
  uint64_t stream_id = 0;
  bool clean = false;
};

// A Submit as it came, judged as far as that goes without the group: of `vocab_size` 0,
// nothing is known yet.
Submitted ReadSubmit(uint64_t stream_id, const v1::Submit& proto, int vocab_size, core::Micros now);
core::Conclude ReadConclude(uint64_t stream_id, const v1::Conclude& proto);
WorkerFailed ReadFault(uint64_t stream_id, const v1::Fault& fault);

class Group {
 public:
  // `metrics` must outlive the group.
  Group(const GroupOptions& options, SchedulerMetrics& metrics, core::Micros now);

  void Apply(GatewayCame& event, core::Micros now);
  void Apply(Submitted& event, core::Micros now);
  void Apply(core::Conclude& event, core::Micros now);
  void Apply(core::Cancel& event, core::Micros now);
  void Apply(GatewayGone& event, core::Micros now);
  void Apply(WorkerCame& event, core::Micros now);
  void Apply(StepAnswered& event, core::Micros now);
  void Apply(WorkerHeard& event, core::Micros now);
  void Apply(WorkerFailed& event, core::Micros now);
  void Apply(WorkerLeaves& event, core::Micros now);
  void Apply(WorkerGone& event, core::Micros now);
  // Refuses what is new from here on.
  void Drain();
  // Another leads, `leader` is where: sends all peers there, with what is open, and those
  // that come later. It is drained with that.
  void HandOver(const std::string& leader);

  void Turn(core::Micros now);
  // When a Turn is due even if nothing happens.
  core::Micros next_turn() const { return std::min(core_.next_deadline(), next_housekeeping_); }

  // Nothing that was accepted is open here any more: draining, and it has ended, or handed
  // over. Workers and gateways have been told to leave.
  bool drained() const { return drained_; }
  int vocab_size() const { return vocab_size_; }  // 0 before the first worker
  int num_gateways() const { return static_cast<int>(sessions_.size()); }
  int num_workers_ready() const { return core_.gauges().num_workers_ready; }
  DebugFacts Describe(core::Micros now) const;
  const core::Core& core() const { return core_; }
  // What holds behind each Turn, checked the slow way: the core's own, and that it has the
  // sequences that gateways wait for and no others. For the simulation.
  absl::Status CheckInvariants() const;

 private:
  struct Session {
    std::shared_ptr<GatewayPeer> peer;
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
    std::shared_ptr<WorkerPeer> peer;
    std::string name;
    v1::ModelFacts facts;
    core::Micros last_heard = 0;
    core::Micros oldest_since = 0;  // the oldest step in flight has run at most since
    double us_per_token = 0;        // what its steps took lately; 0: none has ended
    std::deque<StepInFlight> in_flight;
    bool is_leaving = false;
    bool was_drained = false;
  };

  void PlanSteps();
  void AttachLogprobs(StepAnswer& answer, size_t first_output);
  void AttachPromptLogprobs(StepAnswer& answer, size_t first_row);
  // Hands outputs_ to the gateways, and forgets it.
  void Deliver();
  // Cancels what is open there.
  void EndSession(std::map<uint64_t, Session>::iterator session);
  void SortOutputs();
  void Account(const core::Finished& finished);
  void TellSession(uint64_t stream_id, Session& session);
  Session* Touch(core::SequenceId id);
  void Reject(core::SequenceId id, v1::RejectCode code, std::string message,
              uint32_t retry_after_ms);

  // Lost workers and idle ones that leave; sequences without a worker; loads.
  void Housekeep();
  void ForgiveDelay(core::Micros delay);
  void CheckWorkers();
  bool IsSilent(const Worker& worker) const;
  bool IsStuck(const Worker& worker) const;
  void LoseWorker(uint64_t stream_id, const absl::Status& status);
  void ForgetWorker(uint64_t stream_id);
  // One came, left or leaves: what gateways are told of the group.
  void WorkersChanged();
  void DrainWorker(Worker& worker);
  void FailWithoutWorker();
  void ShareLoad();
  v1::Load CurrentLoad() const;
  void FinishDrain();

  const GroupOptions options_;
  SchedulerMetrics& metrics_;
  core::Core core_;
  core::Micros now_ = 0;
  int vocab_size_ = 0;
  bool draining_ = false;
  bool drained_ = false;
  std::string next_leader_;  // empty: it has not handed over
  bool load_changed_ = false;
  bool told_full_ = false;  // the gateways, of the queue
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
};

}  // namespace weft::scheduler
