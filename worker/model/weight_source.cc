#include "worker/model/weight_source.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace weft::worker {
namespace {

// A number as it is stored, and as a float.
struct Float32 {
  float value;
  static Float32 From(float x) { return {x}; }
  float ToFloat() const { return value; }
};

struct BFloat16 {
  uint16_t bits;
  static BFloat16 From(float x) {
    const uint32_t bits = std::bit_cast<uint32_t>(x);
    if (x != x) return {static_cast<uint16_t>(bits >> 16 | 0x40)};  // a quiet NaN
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  }
  float ToFloat() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

struct Float16 {
  _Float16 value;
  static Float16 From(float x) { return {static_cast<_Float16>(x)}; }
  float ToFloat() const { return static_cast<float>(value); }
};

// Checkpoints do not align their numbers, hence memcpy.
template <class From, class To>
void Convert(const char* in, char* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, in + i * sizeof(From), sizeof(From));
    const To to = To::From(from.ToFloat());
    std::memcpy(out + i * sizeof(To), &to, sizeof(To));
  }
}

template <class From>
void ConvertTo(DType to, const char* in, char* out, int64_t count) {
  switch (to) {
    case DType::kFloat32:
      return Convert<From, Float32>(in, out, count);
    case DType::kBFloat16:
      return Convert<From, BFloat16>(in, out, count);
    case DType::kFloat16:
      return Convert<From, Float16>(in, out, count);
  }
}

}  // namespace

int64_t TensorSpec::num_elements() const {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

std::vector<TensorSpec> Qwen2Tensors(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size, mlp = config.intermediate_size;
  const int64_t q = config.num_heads * config.head_dim, kv = config.num_kv_heads * config.head_dim;
  std::vector<TensorSpec> tensors = {{"model.embed_tokens.weight", {config.vocab_size, hidden}}};
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string layer = absl::StrCat("model.layers.", i, ".");
    tensors.push_back({layer + "input_layernorm.weight", {hidden}});
    tensors.push_back({layer + "self_attn.q_proj.weight", {q, hidden}});
    tensors.push_back({layer + "self_attn.q_proj.bias", {q}});
    tensors.push_back({layer + "self_attn.k_proj.weight", {kv, hidden}});
    tensors.push_back({layer + "self_attn.k_proj.bias", {kv}});
    tensors.push_back({layer + "self_attn.v_proj.weight", {kv, hidden}});
    tensors.push_back({layer + "self_attn.v_proj.bias", {kv}});
    tensors.push_back({layer + "self_attn.o_proj.weight", {hidden, q}});
    tensors.push_back({layer + "post_attention_layernorm.weight", {hidden}});
    tensors.push_back({layer + "mlp.gate_proj.weight", {mlp, hidden}});
    tensors.push_back({layer + "mlp.up_proj.weight", {mlp, hidden}});
    tensors.push_back({layer + "mlp.down_proj.weight", {hidden, mlp}});
  }
  tensors.push_back({"model.norm.weight", {hidden}});
  if (!config.tied_head) tensors.push_back({"lm_head.weight", {config.vocab_size, hidden}});
  return tensors;
}

void ConvertNumbers(const void* in, DType from, void* out, DType to, int64_t count) {
  const char* source = static_cast<const char*>(in);
  char* target = static_cast<char*>(out);
  if (from == to) {
    std::memcpy(target, source, count * BytesOf(from));
    return;
  }
  switch (from) {
    case DType::kFloat32:
      return ConvertTo<Float32>(to, source, target, count);
    case DType::kBFloat16:
      return ConvertTo<BFloat16>(to, source, target, count);
    case DType::kFloat16:
      return ConvertTo<Float16>(to, source, target, count);
  }
}

}  // namespace weft::worker
