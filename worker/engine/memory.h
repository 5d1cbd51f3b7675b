// How much memory there is, and how much of it the KV pool takes.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace weft::worker {

struct HostMemory {
  int64_t total_bytes = 0;      // the machine's, or the container's limit if smaller
  int64_t available_bytes = 0;  // of it, what could be had now without swapping
};

// From /proc/meminfo and the control group's limits (v2 or v1).
absl::StatusOr<HostMemory> ReadHostMemory();

struct KvRequest {
  int64_t bytes_per_block = 0;
  int64_t bytes = 0;                // 0: what `spare_bytes` allows, at most max_automatic_bytes
  int64_t spare_bytes = 0;          // that may be spent
  int64_t max_automatic_bytes = 0;  // 0: no bound
  int max_model_len = 0;            // 0: as much of the model's context as the pool holds
  int model_context = 0;            // max_position_embeddings
  int max_num_seqs = 0;             // more than all their contexts is never taken
};

struct KvPlan {
  int num_blocks = 0;
  int max_context_tokens = 0;
};

// On a CPU a sequence rarely outgrows its patience: 4 GiB hold 150,000 tokens of
// a 1.5B model in 16 bit.
inline constexpr int64_t kMaxAutomaticCpuKvBytes = int64_t{4} << 30;

// InvalidArgument: more context than the model has. ResourceExhausted: a pool that
// could not hold one sequence of max_model_len; says what would.
absl::StatusOr<KvPlan> PlanKv(const KvRequest& request);

}  // namespace weft::worker
