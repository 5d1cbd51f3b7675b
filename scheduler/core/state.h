// Everything the core knows, and the moves between. One class, in files by
// what is being decided:
//
//   admission.cc  who is let in: Submit, the queue, placement, parking
//   plan.cc       who computes what in a step; preemption
//   apply.cc      what a step's answer means; ends
//   workers.cc    workers that join, drain and are lost
//   invariants.cc what always holds
//
// Suspects. Who was in the step that a worker died of may have killed it. Each
// such sequence is a suspect: it is admitted again only when no other suspect
// runs on that worker, until two more tokens of it have come (one by prefill,
// one by decode: both paths have then run without harm). If the worker dies of a
// step with a suspect on trial, that one has brought down two workers and is
// failed, and its neighbours of that step are not suspected.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "scheduler/core/core.h"
#include "scheduler/core/fair_clock.h"
#include "scheduler/core/sequence.h"
#include "scheduler/core/worker.h"

namespace weft::core {

// By prefill and by decode; see "Suspects".
inline constexpr int kTrialTokens = 2;

// Whatever passes its trials and yet is there each time a worker dies is failed
// after this many losses: no request may take down workers for ever.
inline constexpr int kMaxLosses = 5;

class State {
 public:
  explicit State(const Config& config);
  ~State();

  void Apply(Submit event, Micros now, Outputs& out);
  void Apply(const Conclude& event, Micros now, Outputs& out);
  void Apply(const Cancel& event, Micros now, Outputs& out);
  absl::Status Apply(const WorkerJoined& event, Micros now, Outputs& out);
  void Apply(const WorkerDraining& event, Micros now, Outputs& out);
  void Apply(const WorkerLost& event, Micros now, Outputs& out);
  absl::Status Apply(const StepDone& event, Micros now, Outputs& out);
  void Apply(const Tick& event, Micros now, Outputs& out);
  bool Plan(Micros now, Step& step);

  Micros next_deadline() const;
  Micros retry_after() const;
  const Counters& counters() const { return counters_; }
  Gauges gauges() const;
  Snapshot Describe(int max_sequences) const;  // snapshot.cc
  absl::Status CheckInvariants() const;

 private:
  using PolicyOrder = std::set<Sequence*, EarlierInPolicy>;

  // What a placement found: the worker, and the blocks that hold the longest
  // known prefix there.
  struct Placement {
    Worker* worker = nullptr;
    int num_matched_blocks = 0;
  };

  // ---- admission.cc ----
  bool IsAcceptable(const Submit& event, Outputs& out);
  void HashFullBlocks(Sequence& sequence, int num_blocks);
  void Enqueue(Sequence& sequence, Micros now, Outputs& out);
  void Admit();
  bool IsNextStepFull(const Worker& worker) const;
  Placement Place(const Sequence& sequence);
  bool HasRoom(Worker& worker, const Sequence& sequence, int num_matched_blocks);
  int MatchPrefix(const Worker& worker, const Sequence& sequence) const;
  bool ParkBehindSibling(Worker& worker, Sequence& sequence, int num_matched_blocks);
  void AdmitTo(const Placement& placement, Sequence& sequence);
  void KeepPromise(Worker& worker, Sequence& owner, int position);
  void Unpark(Sequence& sequence);
  int num_waiting() const;
  Micros QueueDrainTime() const;

  // ---- plan.cc ----
  void FillStep(Worker& worker, Micros now, Step& step);
  // That may come along with so many decodes.
  int MaxPromptTokens(const Worker& worker, int num_decode_rows) const;
  bool MakeRoom(Worker& worker, Sequence& sequence);
  void AddRow(Worker& worker, Sequence& sequence, int num_tokens, Micros now, Step& step,
              StepRecord& record);
  void Preempt(Sequence& sequence);
  void LeaveWorker(Sequence& sequence);

  // ---- apply.cc ----
  absl::Status CheckAnswer(const Worker& worker, const StepDone& event) const;
  void Deliver(Sequence& sequence, TokenId token, int row, Micros now, Outputs& out);
  void PublishComputed(Sequence& sequence);
  bool FinishIfComplete(Sequence& sequence, Micros now, Outputs& out);
  void Finish(Sequence& sequence, FinishReason reason, Micros now, Outputs& out,
              TokenId stop_token = -1, std::string message = {});
  void LeavePhase(Sequence& sequence);
  void EnterPhase(Sequence& sequence, Phase phase);

  // ---- workers.cc ----
  Worker* FindWorker(WorkerId id);
  int LargestCapacity() const;
  void Blame(Worker& worker, Micros now, Outputs& out);
  void RequeueAll(Worker& worker, Micros now, Outputs& out);
  void EndWhatFitsNowhere(Micros now, Outputs& out);

  Sequence& NewSequence();
  Sequence* FindSequence(SequenceId id);

  const Config config_;
  const BlockHasher hasher_;

  std::vector<std::unique_ptr<Worker>> workers_;  // in order of joining
  size_t next_worker_ = 0;                        // whose turn it is in Plan
  int vocab_size_ = 0;                            // the group's; 0: no worker has joined yet
  int largest_capacity_ever_ = 0;

  // Sequences stay where they are for their whole life, and their memory is used
  // again: records of steps may point to them long after.
  std::deque<Sequence> sequences_;
  std::vector<Sequence*> unused_;
  absl::flat_hash_map<SequenceId, Sequence*> by_id_;  // iterated only to be sorted
  uint64_t last_arrival_ = 0;

  PolicyOrder waiting_;
  PolicyOrder suspects_;
  std::array<int, kNumPhases> num_in_phase_ = {};
  int64_t num_waiting_tokens_ = 0;                              // known ones of all that do not run
  std::map<std::pair<Micros, uint64_t>, Sequence*> deadlines_;  // by (deadline, arrival)
  FairClock fair_clock_;

  // For QueueDrainTime: when sequences end, on average.
  Micros last_finish_ = kNever;
  Micros finish_interval_ = 0;

  Counters counters_;
};

}  // namespace weft::core
