#include "worker/model/qwen2.h"

#include <ATen/Functions.h>

#include <map>

#include "absl/strings/str_cat.h"

namespace weft::worker {

at::Tensor Qwen2::Forward(const ops::Batch& batch, std::vector<ops::KvLayer>& kv) {
  Scratch s = FirstRows(batch.num_tokens(), static_cast<int>(batch.logit_tokens.size()));
  ops::Embedding(embedding_, batch.token_ids, s.hidden);                 // [T, H]
  ops::RotaryAngles(batch.positions, config_.rope_theta, s.cos, s.sin);  // [T, D / 2]
  for (size_t i = 0; i < layers_.size(); ++i) {
    RunLayer(layers_[i], batch, s, /*first=*/i == 0, kv[i]);
  }
  ops::AddRmsNorm(s.delta, s.hidden, norm_, config_.rms_norm_eps, s.normed);  // [T, H]
  ops::GatherRows(s.normed, batch.logit_tokens, s.last);                      // [logits, H]
  ops::Linear(s.last, head_, /*bias=*/{}, s.logits);                          // [logits, V]
  return s.logits;
}

// hidden + delta is the residual stream; each half leaves its output in delta for
// the next norm to add.
void Qwen2::RunLayer(const Layer& layer, const ops::Batch& batch, Scratch& s, bool first,
                     ops::KvLayer& kv) {
  const std::optional<at::Tensor> before = first ? std::nullopt : std::optional(s.delta);
  ops::AddRmsNorm(before, s.hidden, layer.attention_norm, config_.rms_norm_eps, s.normed);
  ops::Linear(s.normed, layer.qkv, layer.qkv_bias, s.qkv);  // [T, (heads + 2 kv heads) D]
  ops::RotateAndStore(s.qkv, s.cos, s.sin, batch, heads(), kv);
  ops::PagedAttention(s.qkv, batch, heads(), kv, s.attended);  // [T, heads D]
  ops::Linear(s.attended, layer.attention_out, {}, s.delta);   // [T, H]

  ops::AddRmsNorm(s.delta, s.hidden, layer.mlp_norm, config_.rms_norm_eps, s.normed);
  ops::Linear(s.normed, layer.gate_up, {}, s.gate_up);  // [T, 2 I]
  ops::SiluMul(s.gate_up, s.activated);                 // [T, I]
  ops::Linear(s.activated, layer.down, {}, s.delta);    // [T, H]
}

Qwen2::Scratch Qwen2::FirstRows(int num_tokens, int num_logits) const {
  const auto rows = [](const at::Tensor& x, int count) { return x.narrow(0, 0, count); };
  const Scratch& s = scratch_;
  return {.hidden = rows(s.hidden, num_tokens),
          .normed = rows(s.normed, num_tokens),
          .delta = rows(s.delta, num_tokens),
          .qkv = rows(s.qkv, num_tokens),
          .attended = rows(s.attended, num_tokens),
          .gate_up = rows(s.gate_up, num_tokens),
          .activated = rows(s.activated, num_tokens),
          .cos = rows(s.cos, num_tokens),
          .sin = rows(s.sin, num_tokens),
          .last = rows(s.last, num_logits),
          .logits = rows(s.logits, num_logits)};
}

// ---- loading ----

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

absl::StatusOr<std::unique_ptr<Qwen2>> Qwen2::Load(const ModelConfig& config, DType dtype,
                                                   const WeightSource& source, StepLimits limits) {
  std::unique_ptr<Qwen2> model(new Qwen2(config, dtype));
  if (auto s = model->LoadWeights(source); !s.ok()) return s;
  model->AllocateScratch(limits);
  return model;
}

absl::Status Qwen2::LoadWeights(const WeightSource& source) {
  const int64_t hidden = config_.hidden_size, mlp = config_.intermediate_size;
  const int64_t q = int64_t{config_.num_heads} * config_.head_dim;
  const int64_t kv = int64_t{config_.num_kv_heads} * config_.head_dim;

  // Where each tensor of the checkpoint goes: q, k and v one below the other in
  // one matrix, gate and up likewise.
  std::map<std::string, at::Tensor> places;
  const auto make = [&](at::IntArrayRef shape) {
    at::Tensor tensor = ops::MakeWeight(shape, TorchType(dtype_));
    weight_bytes_ += tensor.nbytes();
    return tensor;
  };
  places["model.embed_tokens.weight"] = embedding_ = make({config_.vocab_size, hidden});
  for (int i = 0; i < config_.num_layers; ++i) {
    const std::string name = absl::StrCat("model.layers.", i, ".");
    const std::string attention = name + "self_attn.";
    Layer layer;
    places[name + "input_layernorm.weight"] = layer.attention_norm = make({hidden});
    layer.qkv = make({q + 2 * kv, hidden});
    layer.qkv_bias = make({q + 2 * kv});
    int64_t row = 0;
    const std::pair<const char*, int64_t> parts[] = {{"q", q}, {"k", kv}, {"v", kv}};
    for (const auto& [part, rows] : parts) {
      places[absl::StrCat(attention, part, "_proj.weight")] = layer.qkv.narrow(0, row, rows);
      places[absl::StrCat(attention, part, "_proj.bias")] = layer.qkv_bias.narrow(0, row, rows);
      row += rows;
    }
    places[attention + "o_proj.weight"] = layer.attention_out = make({hidden, q});
    places[name + "post_attention_layernorm.weight"] = layer.mlp_norm = make({hidden});
    layer.gate_up = make({2 * mlp, hidden});
    places[name + "mlp.gate_proj.weight"] = layer.gate_up.narrow(0, 0, mlp);
    places[name + "mlp.up_proj.weight"] = layer.gate_up.narrow(0, mlp, mlp);
    places[name + "mlp.down_proj.weight"] = layer.down = make({hidden, mlp});
    layers_.push_back(std::move(layer));
  }
  places["model.norm.weight"] = norm_ = make({hidden});
  if (config_.tied_head) {
    head_ = embedding_;
  } else {
    places["lm_head.weight"] = head_ = make({config_.vocab_size, hidden});
  }

  for (const TensorSpec& spec : Qwen2Tensors(config_)) {
    at::Tensor place = places.at(spec.name);
    if (auto s = source.Read(spec, dtype_, place.mutable_data_ptr()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

void Qwen2::AllocateScratch(StepLimits limits) {
  const auto make = [&](int64_t rows, int64_t columns, at::ScalarType dtype) {
    at::Tensor tensor = at::empty({rows, columns}, dtype);
    scratch_bytes_ += tensor.nbytes();
    return tensor;
  };
  const at::ScalarType type = TorchType(dtype_);
  const int64_t tokens = limits.max_tokens, logits = limits.max_logits;
  const int64_t hidden = config_.hidden_size, mlp = config_.intermediate_size;
  scratch_ = {.hidden = make(tokens, hidden, type),
              .normed = make(tokens, hidden, type),
              .delta = make(tokens, hidden, type),
              .qkv = make(tokens, config_.qkv_size(), type),
              .attended = make(tokens, int64_t{config_.num_heads} * config_.head_dim, type),
              .gate_up = make(tokens, 2 * mlp, type),
              .activated = make(tokens, mlp, type),
              .cos = make(tokens, config_.head_dim / 2, at::kFloat),
              .sin = make(tokens, config_.head_dim / 2, at::kFloat),
              .last = make(logits, hidden, type),
              .logits = make(logits, config_.vocab_size, at::kFloat)};
}

}  // namespace weft::worker
