// The scheduler's wire frames to the core's events, and back. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/core/events.h"
#include "scheduler/core/step.h"
#include "weft/v1/scheduler.pb.h"
#include "weft/v1/worker.pb.h"

namespace weft::scheduler {

// The stream says whose handle it is.
constexpr core::SequenceId SequenceIdOf(uint64_t stream_id, uint32_t handle) {
  return stream_id << 32 | handle;
}
constexpr uint64_t StreamOf(core::SequenceId id) { return id >> 32; }
constexpr uint32_t HandleOf(core::SequenceId id) { return static_cast<uint32_t>(id); }

// Streams are numbered from 1 and their ids must leave room for the handle.
inline constexpr uint64_t kMaxStreamId = 0xffffffff;

// InvalidArgument, with a word for the client, for what no model can run. Ids
// are CheckSubmit's to judge: they need the vocabulary.
absl::StatusOr<core::Submit> FromProto(const v1::Submit& proto, core::SequenceId id,
                                       core::Micros now);

// Every id in [0, vocab_size), sampling parameters in their ranges.
absl::Status CheckSubmit(const core::Submit& submit, int vocab_size);

absl::StatusOr<core::WorkerLimits> FromProto(const v1::WorkerLimits& proto);

// A worker's answer with its own storage; core::StepDone points into it.
struct StepAnswer {
  uint64_t step_id = 0;
  std::vector<core::RowResult> rows;
  std::vector<TokenId> tokens;
  std::vector<v1::RowLogprobs> logprobs;               // by row, ascending
  std::vector<v1::RowPromptLogprobs> prompt_logprobs;  // likewise, one a row at most
  int64_t device_us = 0;                               // forward and sampling
};

// InvalidArgument when lists do not fit each other; the rest is the core's to
// judge.
absl::StatusOr<StepAnswer> FromProto(const v1::StepDone& proto);

// `proto` is expected to be clear.
void ToProto(const core::Step& step, v1::Step& proto);

v1::Finished ToProto(const core::Finished& finished);
v1::Rejected ToProto(const core::Rejected& rejected);

// Which parts differ of two fingerprints, for the log of a worker that is
// refused. A fingerprint is "key=value" parts, separated by semicolons.
std::string FingerprintDifference(const std::string& group, const std::string& worker);

}  // namespace weft::scheduler
