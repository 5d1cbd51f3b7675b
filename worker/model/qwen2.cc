#include "worker/model/qwen2.h"

#include "absl/strings/str_cat.h"

namespace weft::worker {

at::Tensor Qwen2::Forward(const ops::Batch& batch, const std::vector<ops::KvLayer>& kv) {
  Scratch s = FirstRows(batch.num_tokens, batch.num_logits);
  ops_.Embedding(batch, embedding_, s.hidden);                 // [T, H]
  ops_.RotaryAngles(batch, config_.rope_theta, s.cos, s.sin);  // [T, D / 2]
  for (size_t i = 0; i < layers_.size(); ++i) RunLayer(layers_[i], batch, s, kv[i]);
  ops_.Logits(batch, s.hidden, norm_, head_, s.logits);  // [logits, V]
  return s.logits;
}

at::Tensor Qwen2::Logits(const ops::Batch& batch) {
  Scratch s = FirstRows(batch.num_tokens, batch.num_logits);
  ops_.Logits(batch, s.hidden, norm_, head_, s.logits);
  return s.logits;
}

// `hidden` is the residual stream, to which each half adds.
void Qwen2::RunLayer(const Layer& layer, const ops::Batch& batch, Scratch& s, ops::KvLayer kv) {
  ops_.NormedLinear(s.hidden, layer.attention_norm, layer.qkv, layer.qkv_bias, s.qkv);
  ops_.Attention(s.qkv, s.cos, s.sin, batch, heads(), kv, s.attended);  // [T, heads D]
  ops_.AddLinear(s.attended, layer.attention_out, s.hidden);            // [T, H]

  ops_.NormedGatedLinear(s.hidden, layer.mlp_norm, layer.gate_up, s.activated);  // [T, I]
  ops_.AddLinear(s.activated, layer.down, s.hidden);                             // [T, H]
}

Qwen2::Scratch Qwen2::FirstRows(int num_tokens, int num_logits) const {
  const Scratch& s = scratch_;
  return {.hidden = ops::FirstRows(s.hidden, num_tokens),
          .qkv = ops::FirstRows(s.qkv, num_tokens),
          .attended = ops::FirstRows(s.attended, num_tokens),
          .activated = ops::FirstRows(s.activated, num_tokens),
          .cos = ops::FirstRows(s.cos, num_tokens),
          .sin = ops::FirstRows(s.sin, num_tokens),
          .logits = ops::FirstRows(s.logits, num_logits)};
}

// ---- construction and loading ----

at::ScalarType TorchType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return at::kFloat;
    case DType::kBFloat16:
      return at::kBFloat16;
    case DType::kFloat16:
      return at::kHalf;
  }
  return at::kFloat;
}

Qwen2::Qwen2(const ModelConfig& config, DType dtype, StepLimits limits, ops::Ops& ops)
    : config_(config), dtype_(dtype), ops_(ops) {
  const int64_t hidden = config_.hidden_size;
  embedding_ = head_ = MakeWeight({config_.vocab_size, hidden});
  places_["model.embed_tokens.weight"] = embedding_;
  for (int i = 0; i < config_.num_layers; ++i) {
    layers_.push_back(MakeLayer(absl::StrCat("model.layers.", i, ".")));
  }
  norm_ = MakeNorm("model.norm.weight");
  if (!config_.tied_head) {
    places_["lm_head.weight"] = head_ = MakeWeight({config_.vocab_size, hidden});
  }

  const at::ScalarType type = TorchType(dtype_);
  const int64_t tokens = limits.max_tokens, half = config_.head_dim / 2;
  const int64_t q = int64_t{config_.num_heads} * config_.head_dim;
  scratch_ = {.hidden = ops.MakeScratch({tokens, hidden}, type),
              .qkv = ops.MakeScratch({tokens, config_.qkv_size()}, type),
              .attended = ops.MakeScratch({tokens, q}, type),
              .activated = ops.MakeScratch({tokens, config_.intermediate_size}, type),
              .cos = ops.MakeScratch({tokens, half}, at::kFloat),
              .sin = ops.MakeScratch({tokens, half}, at::kFloat),
              .logits = ops.MakeScratch({limits.max_logits, config_.vocab_size}, at::kFloat)};
}

// q, k and v lie one below the other in one matrix, gate and up likewise.
Qwen2::Layer Qwen2::MakeLayer(const std::string& name) {
  const int64_t hidden = config_.hidden_size, mlp = config_.intermediate_size;
  const int64_t q = int64_t{config_.num_heads} * config_.head_dim;
  const int64_t kv = int64_t{config_.num_kv_heads} * config_.head_dim;
  const std::string attention = name + "self_attn.";
  Layer layer;
  layer.attention_norm = MakeNorm(name + "input_layernorm.weight");
  layer.qkv = MakeWeight({q + 2 * kv, hidden});
  layer.qkv_bias = MakeWeight({q + 2 * kv});
  int64_t row = 0;
  const std::pair<const char*, int64_t> parts[] = {{"q", q}, {"k", kv}, {"v", kv}};
  for (const auto& [part, rows] : parts) {
    places_[absl::StrCat(attention, part, "_proj.weight")] = ops::Rows(layer.qkv, row, rows);
    places_[absl::StrCat(attention, part, "_proj.bias")] = ops::Rows(layer.qkv_bias, row, rows);
    row += rows;
  }
  places_[attention + "o_proj.weight"] = layer.attention_out = MakeWeight({hidden, q});
  layer.mlp_norm = MakeNorm(name + "post_attention_layernorm.weight");
  layer.gate_up = MakeWeight({2 * mlp, hidden});
  places_[name + "mlp.gate_proj.weight"] = ops::Rows(layer.gate_up, 0, mlp);
  places_[name + "mlp.up_proj.weight"] = ops::Rows(layer.gate_up, mlp, mlp);
  places_[name + "mlp.down_proj.weight"] = layer.down = MakeWeight({hidden, mlp});
  return layer;
}

at::Tensor Qwen2::MakeWeight(at::IntArrayRef shape) {
  at::Tensor weight = ops_.MakeWeight(shape, TorchType(dtype_));
  weight_bytes_ += static_cast<int64_t>(weight.nbytes());
  return weight;
}

ops::Norm Qwen2::MakeNorm(const std::string& name) {
  const at::Tensor weight = MakeWeight({config_.hidden_size});
  places_[name] = weight;
  return {.weight = weight, .epsilon = config_.rms_norm_eps};
}

absl::Status Qwen2::ReadWeights(const WeightSource& source) {
  for (const TensorSpec& spec : Qwen2Tensors(config_)) {
    void* place = places_.at(spec.name).mutable_data_ptr();
    if (auto s = source.Read(spec, dtype_, place); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace weft::worker
