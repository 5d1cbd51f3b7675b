// The Qwen2 model: its weights on a device and one step's forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/model/model_config.h"
#include "worker/model/weight_source.h"
#include "worker/ops/dtype.h"
#include "worker/ops/ops.h"

namespace weft::worker {

at::ScalarType TorchType(DType dtype);

struct StepLimits {
  int max_tokens = 0;  // in a step
  int max_logits = 0;  // tokens of a step whose logits are wanted
};

class Qwen2 {
 public:
  // Allocates every weight and all scratch of a step once, on the device of `ops`,
  // which must outlive the model. The weights are then to be filled: see places().
  Qwen2(const ModelConfig& config, DType dtype, StepLimits limits, ops::Ops& ops);

  // Where each tensor of a checkpoint (Qwen2Tensors) belongs.
  const std::map<std::string, at::Tensor>& places() const { return places_; }

  // Fills the weights one by one from `source`; of a device whose memory is the
  // host's.
  absl::Status ReadWeights(const WeightSource& source);

  // Writes the KV of the batch's tokens into `kv`, one entry a layer, and returns
  // logits [batch.num_logits, vocab_size] float32, valid until the next call.
  // Allocates nothing on the device.
  at::Tensor Forward(const ops::Batch& batch, const std::vector<ops::KvLayer>& kv);

  // Logits of other tokens of the batch that Forward was last called with; overwrites
  // those it returned.
  at::Tensor Logits(const ops::Batch& batch);

  const ModelConfig& config() const { return config_; }
  DType dtype() const { return dtype_; }
  ops::HeadShape heads() const {
    return {config_.num_heads, config_.num_kv_heads, config_.head_dim};
  }
  int64_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Layer {
    ops::Norm attention_norm;
    at::Tensor qkv, qkv_bias;  // [(heads + 2 kv heads) D, H]
    at::Tensor attention_out;  // [H, heads D]
    ops::Norm mlp_norm;
    at::Tensor gate_up;  // [2 I, H]
    at::Tensor down;     // [H, I]
  };

  // Rows for max_tokens; a step uses the first T.
  struct Scratch {
    at::Tensor hidden;     // [T, H]
    at::Tensor qkv;        // [T, (heads + 2 kv heads) D]
    at::Tensor attended;   // [T, heads D]
    at::Tensor activated;  // [T, I]
    at::Tensor cos, sin;   // [T, D / 2] float32
    at::Tensor logits;     // [logit tokens, V] float32
  };

  Scratch FirstRows(int num_tokens, int num_logits) const;
  void RunLayer(const Layer& layer, const ops::Batch& batch, Scratch& s, ops::KvLayer kv);
  Layer MakeLayer(const std::string& name);
  at::Tensor MakeWeight(at::IntArrayRef shape);
  ops::Norm MakeNorm(const std::string& name);

  const ModelConfig config_;
  const DType dtype_;
  ops::Ops& ops_;
  at::Tensor embedding_;  // [V, H]
  std::vector<Layer> layers_;
  ops::Norm norm_;
  at::Tensor head_;  // [V, H]; the embedding itself if tied
  std::map<std::string, at::Tensor> places_;
  Scratch scratch_;
  int64_t weight_bytes_ = 0;
};

}  // namespace weft::worker
