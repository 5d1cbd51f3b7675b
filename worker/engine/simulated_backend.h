// A backend without a model, for load tests of the tiers above on any machine:
// tokens are a hash, a step takes as long as a named GPU would by its roofline.
// It holds the scheduler to the step contract exactly as the real one does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/step_time.h"
#include "worker/engine/backend.h"

namespace weft::worker {

struct SimulatedOptions {
  std::string gpu = "H200";  // a name that sim::FindGpu knows
  sim::ModelShape shape = sim::Qwen2_1_5B();
  std::string model_name = "simulated";  // part of the fingerprint
  double speed = 1;                      // steps take 1/speed of their time
  double memory_utilization = 0.9;       // of the GPU's, for weights and KV
  int64_t kv_bytes = 0;                  // 0: what the weights leave
  int vocab_size = 151936;
  int max_context_tokens = 131072;
  int max_num_seqs = 256;
  int max_num_batched_tokens = 8192;
};

// InvalidArgument names the option that is wrong; ResourceExhausted when the
// weights leave no room for KV.
absl::StatusOr<std::unique_ptr<Backend>> MakeSimulatedBackend(const SimulatedOptions& options);

// What a simulated sequence samples at an output index, whatever its prompt: so
// that a client can check its stream. Never one of its stop tokens: it ends by its
// length. `vocab_size` exceeds the number of stop tokens.
TokenId SimulatedOutput(const SamplingParams& sampling, int output_index, int vocab_size);

}  // namespace weft::worker
