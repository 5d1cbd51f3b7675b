// ops.h on one NVIDIA GPU.
//
// Work goes to one stream. 16-bit models run on this folder's kernels and cuBLASLt;
// float32, which is for comparing, on cuBLASLt and the plain attention kernels. Where the
// device lacks what a kernel needs (DeviceFeatures), cuBLASLt or the plain kernel does its
// work.
//
// The first call that CUDA refuses is remembered: see error().
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/ops/cuda/attention.h"
#include "worker/ops/cuda/blas.h"
#include "worker/ops/cuda/device_features.h"
#include "worker/ops/cuda/device_memory.h"
#include "worker/ops/cuda/skinny_linear.h"
#include "worker/ops/dtype.h"
#include "worker/ops/ops.h"

namespace weft::worker::ops::cuda {

struct CudaOpsOptions {
  StepShape shape;
  HeadShape heads = {};
  DType dtype = DType::kBFloat16;
  KvFormat kv_format = KvFormat::kSameAsModel;
  double rope_theta = 0;
  // Rows of one token in a step, at most.
  int max_single_rows = 0;
  // Measured cuBLASLt algorithms are kept in this file; empty: in no file.
  std::string gemm_table_path;
};

class CudaOps final : public Ops {
 public:
  // On the current device. FailedPrecondition: it cannot run these kernels.
  static absl::StatusOr<std::unique_ptr<CudaOps>> Create(const CudaOpsOptions& options);
  ~CudaOps() override;

  // Measures cuBLASLt's algorithms for a model's products, unless the table knows them.
  absl::Status Tune(int64_t qkv_size, int64_t vocab_size);

  // OK, or the first call that CUDA refused.
  absl::Status error() const { return error_; }
  cudaStream_t stream() const { return stream_; }
  int num_sms() const { return device_.num_sms; }
  DeviceMemory& memory() { return memory_; }
  const Blas& blas() const { return *blas_; }

  at::Tensor MakeWeight(at::IntArrayRef shape, at::ScalarType dtype) override;
  at::Tensor MakeScratch(at::IntArrayRef shape, at::ScalarType dtype) override;
  int64_t scratch_bytes() const override { return scratch_bytes_; }

  void Embedding(const Batch& batch, const at::Tensor& table, at::Tensor out) override;
  void RotaryAngles(const Batch& batch, double theta, at::Tensor cos, at::Tensor sin) override;
  void NormedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& weight,
                    const at::Tensor& bias, at::Tensor out) override;
  void Attention(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin, const Batch& batch,
                 HeadShape shape, KvLayer kv, at::Tensor out) override;
  void AddLinear(const at::Tensor& x, const at::Tensor& weight, at::Tensor out) override;
  void NormedGatedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& gate_up,
                         at::Tensor out) override;
  void Logits(const Batch& batch, const at::Tensor& x, const Norm& norm, const at::Tensor& head,
              at::Tensor out) override;

 private:
  explicit CudaOps(const CudaOpsOptions& options) : options_(options) {}
  absl::Status Init();
  at::Tensor Make(at::IntArrayRef shape, at::ScalarType dtype);
  void Check(cudaError_t error, const char* what);
  bool HasFastAttention(const Batch& batch) const;
  // The one kernel for few tokens, or for some dozens, if there is one for this product; of
  // norm(x) with `norm`.
  bool RunFused(LinearArgs args, const Norm* norm);
  // Into normed_: of x, or of its rows.
  at::Tensor RunNorm(const void* x, int64_t num_tokens, const Norm& norm, const int32_t* rows);
  void RunGemm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
               bool accumulate, at::Tensor out);

  const CudaOpsOptions options_;
  cudaStream_t stream_ = nullptr;
  const DeviceFeatures device_ = CurrentDevice();
  DeviceMemory memory_;
  std::unique_ptr<Blas> blas_;
  int64_t scratch_bytes_ = 0;
  at::Tensor normed_;                     // [max tokens or logits, H]
  at::Tensor gate_up_;                    // [max tokens, 2 I]
  float* inverse_frequencies_ = nullptr;  // [D / 2]
  void* attention_workspace_ = nullptr;
  absl::Status error_;
};

}  // namespace weft::worker::ops::cuda
