// Sequences on their way into slots on the device.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "worker/engine/backend.h"
#include "worker/engine/cuda/pinned_memory.h"
#include "worker/engine/cuda/step_state.h"
#include "worker/ops/cuda/device_memory.h"

namespace weft::worker {

class EntryStaging {
 public:
  EntryStaging(int max_context_tokens, ops::cuda::DeviceMemory& memory);

  // Enters them, on `stream`, before the step that the device will count as `step`. What
  // the staging area does not hold at once takes several turns, and this waits between
  // them. The area of a step is written again kStepRing steps later, which must not be
  // before `stream` has come past it.
  void Enter(const std::vector<SlotEntry>& entries, uint64_t step, const SlotState& slots,
             cudaStream_t stream);

 private:
  const int64_t bytes_;     // of one area
  PinnedArray<char> host_;  // [kStepRing] areas
  char* const device_;      // one area
};

}  // namespace weft::worker
