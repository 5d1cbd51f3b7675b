// A model on the CPU, behind Backend: a step is computed where it is awaited.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "worker/engine/model_backend.h"

namespace weft::worker {

absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(const ModelBackendOptions& options,
                                                        LoadFacts& facts);

}  // namespace weft::worker
