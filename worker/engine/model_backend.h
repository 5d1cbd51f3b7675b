// The backend that runs a model: a directory in Hugging Face format, on the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/engine/backend.h"

namespace weft::worker {

struct ModelBackendOptions {
  std::string model_dir;
  std::string dtype = "auto";        // auto, bfloat16, float32 (float16 needs a GPU)
  std::string load_format = "auto";  // auto: safetensors; dummy: made-up weights, no files
  int max_model_len = 0;             // 0: the model's, as far as the KV pool reaches
  int max_num_seqs = 64;             // rows of a step, and slots
  int max_num_batched_tokens = 512;  // tokens of a step
  int64_t kv_bytes = 0;              // 0: from memory, bounded
  double memory_utilization = 0.9;   // of what is available, for everything
  int num_threads = 0;               // 0: every core
  // Called while weights are loaded, now and then.
  std::function<void(int64_t done_bytes, int64_t total_bytes)> on_progress;
};

// What loading found and took, for the log and for metrics.
struct LoadFacts {
  std::string device;          // "cpu"
  std::string device_details;  // "avx512_bf16, 2 threads"
  std::string dtype;           // the model and its KV compute in it
  int64_t num_parameters = 0;
  int64_t memory_total_bytes = 0;
  int64_t memory_available_bytes = 0;  // before loading
  int64_t weight_bytes = 0;
  int64_t scratch_bytes = 0;  // of a step
  int64_t kv_bytes = 0;       // reserved; pages are touched as blocks are first used
  int num_blocks = 0;
  int64_t num_kv_tokens = 0;  // that the blocks hold
  int max_context_tokens = 0;
  double files_seconds = 0;  // configuration and headers read and checked
  double weights_seconds = 0;
  double kv_seconds = 0;
  double canary_seconds = 0;  // the first forward pass
  std::vector<std::string> warnings;
};

// Loads, and computes one forward pass that must be finite. Errors name the file,
// tensor, field or flag to blame; memory that does not suffice is
// ResourceExhausted. `facts`, if given, is filled as far as loading came.
absl::StatusOr<std::unique_ptr<Backend>> MakeModelBackend(const ModelBackendOptions& options,
                                                          LoadFacts* facts = nullptr);

}  // namespace weft::worker
