// A model on one NVIDIA GPU, behind Backend: two steps in flight, the host never
// between them.
//
//   Begin   checks the command, writes one packed record, launches: a captured graph
//           for a step of single tokens, kernel by kernel for any other. Does not wait.
//   Await   watches a word in pinned memory that the step's last kernel writes.
//
// What a sequence needs lies on the device by slot; the token that a step samples is
// read by the next one there, and the host learns of it later.
//
// An error of CUDA ends the process, with its cause in the log: after one nothing on
// the device can be trusted, and a new process is ready in seconds.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/engine/model_backend.h"

namespace weft::worker {

// OK if there is a GPU with a driver that answers; else what is missing.
absl::Status GpuIsUsable();

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const ModelBackendOptions& options,
                                                         LoadFacts& facts);

}  // namespace weft::worker
