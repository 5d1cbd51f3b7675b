// From the worker's flags to a loaded backend: which one, and what start-up says
// about it in the log and the metrics.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/flags.h"
#include "common/metrics.h"
#include "worker/engine/backend.h"

namespace weft::worker {

struct LoadOptions {
  std::string model;  // a folder; may be empty for the simulated backend
  std::string backend = "auto";
  std::string dtype = "auto";
  std::string kv_cache_dtype = "auto";
  std::string load_format = "auto";
  double memory_utilization = 0.9;
  int64_t kv_bytes = 0;
  int max_model_len = 0;
  int max_num_seqs = 0;
  int max_num_batched_tokens = 0;
  bool enforce_eager = false;
  int num_threads = 0;
  std::string simulated_gpu = "H200";
  double simulated_speed = 1;
  int simulated_vocab_size = 151936;
};

void AddLoadFlags(Flags& flags, LoadOptions& options);

// Blocks for as long as loading takes, and logs how far it is. Errors say what of
// model or flags is wrong.
absl::StatusOr<std::unique_ptr<Backend>> LoadBackend(const LoadOptions& options, Metrics& metrics);

// Where measured GPU algorithms are kept between starts; empty: there is no home to keep
// them in.
std::string GemmTablePath();

// The name by which the log calls the model: its folder's.
std::string ModelName(const LoadOptions& options);

}  // namespace weft::worker
