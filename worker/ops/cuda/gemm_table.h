// Which cuBLASLt algorithm is fastest for which product, measured on one kind of GPU
// and kept in a file, so that later starts need not measure again.
//
// The file is text: a line that says what it is, one that says for what GPU and
// library, a line for each product, and a checksum. A file that is damaged, of
// another format or of another identity counts as absent: an algorithm of another
// library version is meaningless.
#pragma once

#include <cublasLt.h>

#include <map>
#include <string>

#include "absl/status/status.h"
#include "worker/ops/cuda/gemm.h"

namespace weft::worker::ops::cuda {

struct GemmChoice {
  cublasLtMatmulAlgo_t algo = {};
  int64_t workspace_bytes = 0;
  int num_candidates = 0;          // algorithms that were timed
  float microseconds = 0;          // weight not in L2
  float default_microseconds = 0;  // of the one that cuBLASLt would have taken
};

using GemmTable = std::map<Gemm, GemmChoice>;

// Empty where there is no such file.
GemmTable ReadGemmTable(const std::string& path, const std::string& identity);

// Makes the folder where it is missing, and replaces the file at once: a reader
// sees the old or the new one. `identity` is one line.
absl::Status WriteGemmTable(const std::string& path, const std::string& identity,
                            const GemmTable& table);

}  // namespace weft::worker::ops::cuda
