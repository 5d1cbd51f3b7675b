// The shape of a Qwen2 model, from its directory's config.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/ops/dtype.h"

namespace weft::worker {

struct ModelConfig {
  int vocab_size = 0;  // rows of the embedding; the tokenizer may know fewer ids
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int max_position_embeddings = 0;
  float rms_norm_eps = 0;
  double rope_theta = 0;
  bool tied_head = false;         // the output head is the embedding
  DType dtype = DType::kFloat32;  // of the checkpoint

  int qkv_size() const { return (num_heads + 2 * num_kv_heads) * head_dim; }
  int64_t num_parameters() const;
  // Keys and values of one token, all layers.
  int64_t kv_bytes_per_token(DType kv_dtype) const;
};

// Refuses, naming the field and what is supported, every configuration that
// this engine would not compute as transformers does: another architecture, a
// sliding window in use, rope scaling, quantization, another activation, shapes
// that do not divide. `source` names the text in errors.
absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& source, std::string_view text);
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir);

// One past the last id that tokenizer.json knows: embedding rows beyond it are
// padding and never sampled. `config.vocab_size` where there is no tokenizer.json.
// InvalidArgument if the tokenizer knows ids that the model has no row for.
absl::StatusOr<int> LoadTokenizerVocabSize(const std::string& model_dir, const ModelConfig& config);

}  // namespace weft::worker
