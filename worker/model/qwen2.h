// The Qwen2 model: its weights on a device and one step's forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/dtype.h"
#include "worker/model/model_config.h"
#include "worker/model/weight_source.h"
#include "worker/ops/ops.h"

namespace weft::worker {

at::ScalarType TorchType(DType dtype);

struct StepLimits {
  int max_tokens = 0;  // in a step
  int max_logits = 0;  // tokens of a step whose logits are wanted
};

class Qwen2 {
 public:
  // Allocates every weight and all scratch of a step once, then fills the weights
  // one by one from `source`: at no time is there a second copy.
  static absl::StatusOr<std::unique_ptr<Qwen2>> Load(const ModelConfig& config, DType dtype,
                                                     const WeightSource& source, StepLimits limits);

  // Writes the KV of the batch's tokens into `kv`, one entry a layer, and returns
  // logits [batch.logit_tokens.size(), vocab_size] float32, valid until the next
  // call. Allocates nothing of the step's size.
  at::Tensor Forward(const ops::Batch& batch, std::vector<ops::KvLayer>& kv);

  const ModelConfig& config() const { return config_; }
  ops::HeadShape heads() const {
    return {config_.num_heads, config_.num_kv_heads, config_.head_dim};
  }
  int64_t weight_bytes() const { return weight_bytes_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }

 private:
  struct Layer {
    at::Tensor attention_norm;  // [H]
    at::Tensor qkv, qkv_bias;   // [(heads + 2 kv heads) D, H]
    at::Tensor attention_out;   // [H, heads D]
    at::Tensor mlp_norm;        // [H]
    at::Tensor gate_up;         // [2 I, H]
    at::Tensor down;            // [H, I]
  };

  // Rows for max_tokens; a step uses the first T.
  struct Scratch {
    at::Tensor hidden, normed, delta;  // [T, H]
    at::Tensor qkv;                    // [T, (heads + 2 kv heads) D]
    at::Tensor attended;               // [T, heads D]
    at::Tensor gate_up, activated;     // [T, 2 I], [T, I]
    at::Tensor cos, sin;               // [T, D / 2] float32
    at::Tensor last;                   // [logit tokens, H]
    at::Tensor logits;                 // [logit tokens, V] float32
  };

  Qwen2(const ModelConfig& config, DType dtype) : config_(config), dtype_(dtype) {}
  Scratch FirstRows(int num_tokens, int num_logits) const;
  void RunLayer(const Layer& layer, const ops::Batch& batch, Scratch& s, bool first,
                ops::KvLayer& kv);
  absl::Status LoadWeights(const WeightSource& source);
  void AllocateScratch(StepLimits limits);

  ModelConfig config_;
  DType dtype_;
  at::Tensor embedding_;  // [V, H]
  std::vector<Layer> layers_;
  at::Tensor norm_;  // [H]
  at::Tensor head_;  // [V, H]; the embedding itself if tied
  Scratch scratch_;
  int64_t weight_bytes_ = 0;
  int64_t scratch_bytes_ = 0;
};

}  // namespace weft::worker
