// The names every file of the core shares.
#pragma once

#include <cstdint>

#include "common/sampling.h"

namespace weft::core {

// Chosen by the caller and never used twice: session << 32 | handle.
using SequenceId = uint64_t;

// Chosen by the caller, one per attachment: a worker that comes back is another
// worker.
using WorkerId = uint64_t;

// Microseconds on any clock that never goes back. The core reads no clock: time
// comes in with each call.
using Micros = int64_t;

// Tokens in a KV block. A worker with another size is refused.
inline constexpr int kBlockTokens = 16;

constexpr int BlocksFor(int num_tokens) { return (num_tokens + kBlockTokens - 1) / kBlockTokens; }

// Where a sequence is in its life.
//
//             admitted  parked    preempted,     all owed  published  ended
//                                 worker lost    has come  or dropped
//   waiting   running   parked    –              –         –          gone
//   suspect   running   –         –              –         –          gone
//   parked    –         –         –              –         waiting    gone
//   owed      –         –         (lost) waiting waiting   –          gone
//   running   –         –         owed, waiting  –         –          gone
//
// In place of "waiting", a sequence under suspicion becomes "suspect".
enum class Phase {
  kWaiting,  // for a worker with room
  kSuspect,  // likewise, and for its turn to be tried
  kParked,   // for a block of its prefix that a running sequence computes
  kOwed,     // for the answers of steps in flight, before it can run again
  kRunning,  // on a worker, in a slot, with blocks
};
inline constexpr int kNumPhases = 5;

}  // namespace weft::core
