// The backend that runs a model: a directory in Hugging Face format, on a GPU or the
// CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/engine/backend.h"

namespace weft::worker {

// Where --max-num-seqs and --max-num-batched-tokens say nothing.
inline constexpr int kCpuMaxNumSeqs = 64;
inline constexpr int kCpuMaxBatchedTokens = 512;
inline constexpr int kGpuMaxNumSeqs = 256;
// A longer step computes prompts hardly faster and lets every stream wait for it: 2,048
// tokens take an H200 9 ms for a model of 1.5 B, 8,192 take 44.
inline constexpr int kGpuMaxBatchedTokens = 2048;

struct ModelBackendOptions {
  std::string model_dir;
  std::string device = "auto";          // auto: a GPU if there is one; cpu, cuda
  std::string dtype = "auto";           // auto, bfloat16, float16, float32
  std::string kv_cache_dtype = "auto";  // auto: dtype; fp8: e4m3 with a scale a token and head
  std::string load_format = "auto";     // auto: safetensors; dummy: made-up weights, no files
  int max_model_len = 0;                // 0: the model's, as far as the KV pool reaches
  int max_num_seqs = 0;                 // rows of a step, and slots; 0: what suits the device
  int max_num_batched_tokens = 0;       // tokens of a step; 0: what suits the device
  int64_t kv_bytes = 0;                 // 0: from memory
  // CPU: of what is available, for everything; the KV pool is bounded, too. GPU: of
  // the card's memory, what others hold included.
  double memory_utilization = 0.9;
  int num_threads = 0;          // of the CPU; 0: every core
  bool capture_graphs = true;   // GPU; false: every step eagerly
  std::string gemm_table_path;  // GPU: file of measured algorithms; empty: none
  // Called while weights are loaded, now and then.
  std::function<void(int64_t done_bytes, int64_t total_bytes)> on_progress;
};

// What loading found and took, for the log and for metrics.
struct LoadFacts {
  std::string device;          // "cpu", "cuda:0 NVIDIA H200"
  std::string device_details;  // "avx512_bf16, 2 threads"
  std::string pci_bus_id;      // a GPU's, "0000:1B:00.0"
  std::string dtype;           // the model computes in it
  std::string kv_dtype;
  int64_t num_parameters = 0;
  int64_t memory_total_bytes = 0;
  int64_t memory_available_bytes = 0;  // before loading
  int64_t weight_bytes = 0;
  int64_t scratch_bytes = 0;  // of a step
  int64_t kv_bytes = 0;       // reserved
  int num_blocks = 0;
  int64_t num_kv_tokens = 0;  // that the blocks hold
  int max_context_tokens = 0;
  double device_seconds = 0;  // the GPU's context
  double files_seconds = 0;   // configuration and headers read and checked
  double weights_seconds = 0;
  double tuning_seconds = 0;  // cuBLASLt's algorithms, where the table lacks them
  double kv_seconds = 0;
  double graphs_seconds = 0;  // captured
  double canary_seconds = 0;  // the first forward pass
  std::vector<std::string> warnings;
};

// Loads, and computes one forward pass that must be finite. Errors name the file,
// tensor, field or flag to blame; memory that does not suffice is
// ResourceExhausted. `facts`, if given, is filled as far as loading came.
absl::StatusOr<std::unique_ptr<Backend>> MakeModelBackend(const ModelBackendOptions& options,
                                                          LoadFacts* facts = nullptr);

}  // namespace weft::worker
