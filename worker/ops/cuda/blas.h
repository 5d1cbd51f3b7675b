// Matrix products by cuBLASLt, with algorithms that were timed on this GPU.
//
//   auto blas = Blas::Create({.table_path = "/home/u/.cache/weft/gemm.txt"});
//   blas->Tune({.n = 2048, .k = 1536, .has_bias = true}, {1, 8, 64, 512});
//   blas->SaveTable();
//   blas->Linear({.n = 2048, .k = 1536, .has_bias = true, .m = 3}, {...}, stream);
//
// cuBLASLt's own first guess is often good and now and then two times slower than
// its third; hence Tune. A product whose m lies between tuned ones takes the
// algorithm of the next larger one if that can do it, and cuBLASLt's guess if not or
// if nothing was tuned. Either is found once for each m, then remembered. Split sums
// are added up in fp32 (no reduction in 16 bits).
//
// Linear takes no memory of the device and may be captured. Host code only. One
// thread, and one stream at a time: the workspace is shared.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/ops/cuda/gemm.h"
#include "worker/ops/cuda/gemm_table.h"

namespace weft::worker::ops::cuda {

// What NVIDIA recommends for Hopper.
inline constexpr int64_t kBlasWorkspaceBytes = 32 << 20;

// Of Gemm's shapes, contiguous, in device memory, 16-byte aligned.
struct LinearPointers {
  const void* x = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;  // if has_bias
  void* out = nullptr;         // distinct from the others
};

struct BlasOptions {
  // File of measured choices (gemm_table.h), read at once; empty: none.
  std::string table_path;
};

class Blas {
 public:
  // On the current device. Fails where there is no GPU or no memory.
  static absl::StatusOr<std::unique_ptr<Blas>> Create(const BlasOptions& options);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  // Finds the fastest algorithm for `gemm` at each of `tokens` (gemm.m does not
  // matter) unless the table holds it already. Meanwhile takes device memory for the
  // largest product's weight, x and out, and six times the L2 beside. On
  // ResourceExhausted what was tuned before stays; Linear works without. Must not be
  // captured.
  absl::Status Tune(const Gemm& gemm, std::span<const int> tokens);

  // Writes the table's file if Tune measured anything, other models' products that
  // the file held included. Without a path does nothing.
  absl::Status SaveTable();

  // cudaErrorNotSupported, cudaErrorInvalidValue or cudaErrorLaunchFailure where
  // cuBLASLt refuses; last_error() then says why. m = 0 launches nothing.
  cudaError_t Linear(const Gemm& gemm, const LinearPointers& pointers, cudaStream_t stream);
  const std::string& last_error() const { return last_error_; }

  // Every product tuned or read from the file, for people to read.
  const GemmTable& table() const { return table_; }
  static std::string Describe(const Gemm& gemm, const GemmChoice& choice);

  // GPU and library that the choices hold for; one line.
  const std::string& identity() const { return identity_; }

 private:
  friend class GemmTimer;

  // How to run one product.
  struct Plan {
    cublasLtMatmulAlgo_t algo;
    size_t workspace_bytes;
  };

  // What cuBLASLt knows of a layer (a Gemm of m = 0). Column-major, it computes
  // out^T [n, m] = weight [n, k] . x^T [k, m].
  struct Layer {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t weight, x, out;
    std::map<int, Plan> plans;  // by m
  };

  Blas() = default;
  absl::Status Init(const BlasOptions& options);
  static cublasStatus_t Init(const Gemm& gemm, Layer& layer);
  cublasStatus_t FindLayer(const Gemm& gemm, Layer*& layer);
  static cublasStatus_t SetTokens(const Gemm& gemm, Layer& layer);
  cublasStatus_t FindPlan(const Gemm& gemm, Layer& layer, const Plan*& plan);
  bool Check(Layer& layer, const cublasLtMatmulAlgo_t& algo, Plan& plan);
  // At most `max_count`, what cuBLASLt thinks fastest first; empty on failure.
  std::vector<Plan> Candidates(Layer& layer, int max_count);
  cublasStatus_t Run(const Gemm& gemm, Layer& layer, const Plan& plan, const LinearPointers& p,
                     cudaStream_t stream);

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  int64_t l2_bytes_ = 0;
  std::string identity_;
  std::string table_path_;
  GemmTable table_;
  bool table_changed_ = false;
  std::map<Gemm, Layer> layers_;  // by a Gemm of m = 0
  std::string last_error_;
};

}  // namespace weft::worker::ops::cuda
