// `weft-worker bench --kernels`: where a step's time goes on the GPU, operation by
// operation, beside what the memory or the tensor cores allow.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/model/model_config.h"
#include "worker/ops/dtype.h"

namespace weft::worker {

struct KernelTableOptions {
  ModelConfig config;
  DType dtype = DType::kBFloat16;
  bool fp8_kv = false;
  std::vector<int> batches;   // rows of one token each
  std::vector<int> prefills;  // tokens of one row
  int context = 1024;         // tokens behind each decoding row
  std::string gemm_table_path;
};

// Prints the table. Weights are made up; each operation is timed over all layers'
// weights one after another, in a captured graph, so that none is in L2.
absl::Status PrintKernelTable(const KernelTableOptions& options);

}  // namespace weft::worker
