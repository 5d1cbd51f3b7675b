// All tiers' real logic among faults: one seed, one history. Gateways (gateway::Session),
// a scheduler (scheduler::Group around the core, its outboxes, codecs and fences) and workers
// talk in the protocol's own messages over simulated streams: frames are delayed, and those
// of different streams overtake each other; streams break, or nothing moves on them for a
// while; processes crash, are stopped and go on; a leader is replaced, and may still speak
// when it is leader no more; gateways read slowly; clocks jump; pools are too small.
//
// Checked throughout: each client's stream (I4: every token the right one, one end, and an
// end that its cause explains), each row's KV (model_worker.h), the core's invariants, and
// that a faulty request harms no other (I6). At the end, some time behind the last fault:
// everybody has an answer; the counts of each tier agree (I1); no block is in use (I2).
//
// What the core alone does is simulated more closely by core_simulation.h.
#pragma once

#include <cstdint>
#include <string>

namespace weft::sim {

struct FaultReport {
  std::string violation;  // empty: all held
  int64_t num_events = 0;
  int64_t num_requests = 0;
  // Faults, by kind.
  int64_t num_crashes = 0;  // of gateways, workers, schedulers
  int64_t num_stops = 0;    // likewise; some are longer than a peer's patience
  int64_t num_broken_links = 0;
  int64_t num_silent_links = 0;
  int64_t num_ailments = 0;  // devices that fail, steps that hang
  int64_t num_clock_jumps = 0;
  // Of these, crashes and stops of schedulers are faults.
  int64_t num_leader_changes = 0;
  int64_t num_leaves = 0;     // of workers, in order
  int64_t num_drains = 0;     // of leaders, likewise
  int64_t num_handovers = 0;  // by leaders that end, likewise
  // How clients' requests ended.
  int64_t num_completed = 0;
  int64_t num_failed = 0;
  int64_t num_cancelled = 0;
  int64_t num_reset = 0;  // with their gateway
  int64_t num_rejected = 0;
  int64_t num_continued = 0;  // got tokens from more than one scheduler
  int64_t num_preemptions = 0;
  int64_t num_requeued = 0;
  int64_t num_steps = 0;

  int64_t num_faults() const {
    return num_crashes + num_stops + num_broken_links + num_silent_links + num_ailments +
           num_clock_jumps;
  }
  void Add(const FaultReport& other);
};

// At least 2,000 events, three faults and one preemption.
FaultReport SimulateFaults(uint64_t seed);

}  // namespace weft::sim
