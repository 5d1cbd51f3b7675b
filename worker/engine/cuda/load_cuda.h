// Loading a model onto a GPU: memory is planned, weights are uploaded, products tuned and
// steps captured.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/engine/model_backend.h"

namespace weft::worker {

// OK if there is a GPU with a driver that answers, not too old; else what is missing.
absl::Status GpuIsUsable();

// As MakeModelBackend, on the first GPU.
absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const ModelBackendOptions& options,
                                                         LoadFacts& facts);

}  // namespace weft::worker
