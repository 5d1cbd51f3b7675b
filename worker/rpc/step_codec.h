// The worker's side of worker.proto: wire frames to what the backend takes, and
// back. No I/O.
#pragma once

#include "absl/status/status.h"
#include "weft/v1/worker.pb.h"
#include "worker/engine/backend.h"

namespace weft::worker {

// Replaces `command`, whose storage is used again. InvalidArgument when lists do
// not fit each other or a number does not fit an int; what the numbers mean is
// the backend's to judge.
absl::Status FromProto(const v1::Step& step, StepCommand& command);

// `done` is expected to be clear.
void ToProto(const StepResult& result, v1::StepDone& done);

void ToProto(const BackendLimits& limits, v1::WorkerLimits& proto);

}  // namespace weft::worker
