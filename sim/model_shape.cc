#include "sim/model_shape.h"

namespace weft::sim {

ModelShape ShapeOf(const worker::ModelConfig& config) {
  const double head = static_cast<double>(config.vocab_size) * config.hidden_size;
  const double embeddings = config.tied_head ? head : 2 * head;
  return {
      .body_parameters = static_cast<double>(config.num_parameters()) - embeddings,
      .head_parameters = head,
      .bytes_per_weight = 2,
      .kv_bytes_per_token =
          static_cast<double>(config.kv_bytes_per_token(worker::DType::kBFloat16)),
      .attention_flops_per_pair = 4.0 * config.num_heads * config.head_dim * config.num_layers,
  };
}

}  // namespace weft::sim
