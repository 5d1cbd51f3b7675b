#include <cuda_runtime.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "tests/parity/device.h"
#include "worker/engine/cuda/load_cuda.h"
#include "worker/engine/cuda/upload.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/ops_cuda.h"

namespace weft::worker::parity {
namespace {

using ops::cuda::CudaOps;
using ops::cuda::KvFormat;

void Check(cudaError_t error) { WEFT_CHECK(error == cudaSuccess); }

std::unique_ptr<CudaOps> MakeOps(const ModelOptions& o) {
  const ModelConfig& c = o.config;
  auto ops = CudaOps::Create({.shape = {.max_tokens = o.max_step_tokens,
                                        .max_logits = o.max_step_tokens,
                                        .hidden_size = c.hidden_size,
                                        .intermediate_size = c.intermediate_size,
                                        .dtype = TorchType(o.dtype)},
                              .heads = {c.num_heads, c.num_kv_heads, c.head_dim},
                              .dtype = o.dtype,
                              .kv_format = o.has_fp8_kv ? KvFormat::kFp8 : KvFormat::kSameAsModel,
                              .rope_theta = c.rope_theta,
                              .max_single_rows = o.max_rows});
  WEFT_CHECK(ops.ok());
  return *std::move(ops);
}

class CudaModel final : public DeviceModel {
 public:
  CudaModel(const ModelOptions& o, const WeightSource& weights)
      : ops_(MakeOps(o)),
        model_(o.config, o.dtype, StepLimits{o.max_step_tokens, o.max_step_tokens}, *ops_) {
    std::vector<UploadItem> items;
    for (const TensorSpec& spec : Qwen2Tensors(o.config)) {
      items.push_back({spec, o.dtype, model_.places().at(spec.name).mutable_data_ptr()});
    }
    WEFT_CHECK(UploadWeights(weights, items, {}).ok());
    const int64_t layer_bytes =
        ops::cuda::KvTileBytes(o.config.head_dim,
                               o.has_fp8_kv ? 1 : static_cast<int>(BytesOf(o.dtype))) *
        o.config.num_kv_heads * o.num_blocks;
    for (int i = 0; i < o.config.num_layers; ++i) {
      kv_.push_back({.keys = ops_->memory().Take(layer_bytes)});
      Check(cudaMemset(kv_.back().keys, 0xff, layer_bytes));  // NaN in every format
    }
  }
  ~CudaModel() override { cudaStreamSynchronize(ops_->stream()); }

  std::vector<float> Forward(const ops::HostBatch& host) override {
    const Uploaded uploaded(host);
    const at::Tensor logits = model_.Forward(uploaded.batch, kv_);
    Check(cudaStreamSynchronize(ops_->stream()));
    WEFT_CHECK(ops_->error().ok());
    std::vector<float> values(logits.numel());
    Check(cudaMemcpy(values.data(), logits.const_data_ptr(), logits.nbytes(),
                     cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  // The batch in device memory, and what only this device asks for.
  struct Uploaded {
    explicit Uploaded(const ops::HostBatch& host) : batch(host.View()) {
      const auto& starts = host.row_starts;
      std::vector<int32_t> block_sums = {0};
      for (int r = 0; r < host.num_rows(); ++r) {
        if (starts[r + 1] - starts[r] > 1) continue;
        WEFT_CHECK(r == batch.num_single_rows);  // they come first
        ++batch.num_single_rows;
        block_sums.push_back(block_sums.back() + host.positions[starts[r]] / ops::kBlockTokens + 1);
      }
      batch.token_ids = Upload(host.token_ids);
      batch.positions = Upload(host.positions);
      batch.row_starts = Upload(host.row_starts);
      batch.block_starts = Upload(host.block_starts);
      batch.blocks = Upload(host.blocks);
      batch.logit_tokens = Upload(host.logit_tokens);
      batch.single_block_sums = Upload(block_sums);
      // The model's stream waits for no copy.
      Check(cudaDeviceSynchronize());
    }
    ~Uploaded() {
      for (void* array : arrays) cudaFree(array);
    }
    Uploaded(const Uploaded&) = delete;
    Uploaded& operator=(const Uploaded&) = delete;

    const int32_t* Upload(const std::vector<int32_t>& values) {
      const size_t bytes = values.size() * sizeof(int32_t);
      Check(cudaMalloc(&arrays.emplace_back(), bytes));
      Check(cudaMemcpy(arrays.back(), values.data(), bytes, cudaMemcpyHostToDevice));
      return static_cast<const int32_t*>(arrays.back());
    }

    ops::Batch batch;
    std::vector<void*> arrays;
  };

  std::unique_ptr<CudaOps> ops_;
  Qwen2 model_;
  std::vector<ops::KvLayer> kv_;
};

}  // namespace

std::string WhyNotOnCuda(int head_dim) {
  if (absl::Status usable = GpuIsUsable(); !usable.ok()) return std::string(usable.message());
  if (head_dim == 64 || head_dim == 128) return "";
  return absl::StrCat("the GPU's kernels know heads of 64 and 128 dimensions, not ", head_dim);
}

std::unique_ptr<DeviceModel> MakeCudaModel(const ModelOptions& options,
                                           const WeightSource& weights) {
  return std::make_unique<CudaModel>(options, weights);
}

}  // namespace weft::worker::parity
