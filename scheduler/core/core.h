// The scheduler's core: who runs where, in which step, on which blocks. A pure
// state machine: events go in through Apply, steps come out of Plan, and the
// same calls give the same answers on any machine. No I/O, no clock, no thread,
// no allocation in a steady decode step, nothing iterated in a hash's order.
//
//   Core core(config);
//   core.Apply(WorkerJoined{...}, now, out);
//   core.Apply(Submit{...}, now, out);
//   while (core.Plan(now, step)) Send(step);        // after every event
//   core.Apply(StepDone{...}, now, out);            // out: tokens, ends
//
// The life of a sequence (in `sequence.h`): it waits in policy order; is
// admitted to a worker, with blocks for all it knows; enters a slot with its
// first row; moves computed toward known, a chunk a step; samples; and ends by a
// stop token, its length, or an event. When blocks run out, the last in policy
// order gives its own up and waits again. When its worker is lost, it waits
// again too, and what its client has stays.
//
// Policy order is (priority, the tenant's virtual time, arrival).
//
// Thread safety: none; one thread owns it.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "scheduler/core/events.h"
#include "scheduler/core/snapshot.h"
#include "scheduler/core/stats.h"
#include "scheduler/core/step.h"

namespace weft::core {

// In which order sequences are admitted and kept: by priority, then by fair shares of tenants,
// then by arrival; or without regard for the priorities that requests name.
enum class SchedulingPolicy { kPriority, kFcfs };

struct Config {
  SchedulingPolicy policy = SchedulingPolicy::kPriority;

  // Beyond either, a Submit is rejected with kQueueFull. Resumed sequences and
  // those of a lost worker are let in regardless: their clients are reading.
  int max_waiting_sequences = 4096;
  int64_t max_waiting_tokens = 16 << 20;
  // Of one tenant, waiting and running. Beyond it a Submit is rejected with kQuota, so that no
  // tenant fills the queue for all; with the same exceptions. 0: no limit.
  int max_tenant_sequences = 0;

  bool enable_prefix_cache = true;

  // How long a step that decodes may take because of prompts that it computes as well; as
  // long as it would without them is always granted. 0: no limit. Long prompts then take
  // more steps, and who is reading waits less for each token.
  Micros max_mixed_step = 5'000;
  // Tokens of one prompt in one step, at most; 0: no limit. Several prompts then share a step.
  int long_prefill_token_threshold = 0;

  // Keys the block hashes. Draw it at random in each process: who does not know
  // it cannot make two prefixes collide.
  uint64_t hash_key[2] = {0, 0};
};

class State;

class Core {
 public:
  explicit Core(const Config& config);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Ends in a Rejected, or sooner or later in exactly one Finished. Rejected:
  // kInvalid for what no worker can ever run or an id that is alive, kQueueFull, kQuota,
  // kNoWorker until the first worker has joined (later, without one, it waits).
  void Apply(Submit event, Micros now, Outputs& out);

  // Both are answered by a Finished, at once; steps in flight lose their meaning
  // for it. Unknown and finished ids are ignored: the answer was on its way.
  void Apply(const Conclude& event, Micros now, Outputs& out);
  void Apply(const Cancel& event, Micros now, Outputs& out);

  // InvalidArgument: limits that cannot work (another block size, fewer tokens
  // in a step than rows, a vocabulary unlike the group's), or an id in use;
  // nothing has changed.
  absl::Status Apply(const WorkerJoined& event, Micros now, Outputs& out);

  // Unknown workers are ignored.
  void Apply(const WorkerDraining& event, Micros now, Outputs& out);
  void Apply(const WorkerLost& event, Micros now, Outputs& out);

  // A worker answers its steps in order. InvalidArgument: not the oldest step
  // in flight there, or not an answer to it (row count, token counts, ids);
  // Internal: a row with kError. Nothing has changed then, and the worker is not
  // to be trusted any more: apply WorkerLost. An unknown worker's answer is
  // ignored: it was lost before.
  absl::Status Apply(const StepDone& event, Micros now, Outputs& out);

  void Apply(const Tick& event, Micros now, Outputs& out);

  // When the next Tick is due; kNever: no deadline is set.
  Micros next_deadline() const;

  // Fills `step` for a worker with room in flight and something to do. False:
  // there is none, and `step` is empty. Call until false, after every event.
  [[nodiscard]] bool Plan(Micros now, Step& step);

  // Above 0: the queue is full, whatever came now would be rejected, and this is what it would
  // be told to wait.
  Micros retry_after() const;

  const Counters& counters() const;
  Gauges gauges() const;  // cost: the number of workers
  // Of at most so many sequences; cost: all of them, sorted.
  Snapshot Describe(int max_sequences) const;

  // What holds at any moment, checked the slow way: counts that agree, blocks
  // with as many owners as they count, no block with two writers. For tests and
  // the simulation; Internal says what is wrong.
  absl::Status CheckInvariants() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace weft::core
