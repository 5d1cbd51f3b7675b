#include "worker/model/testing.h"

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"

namespace weft::worker::testing {

TempDir::TempDir() {
  static std::atomic<int> count{0};
  path_ =
      std::filesystem::temp_directory_path() / absl::StrCat("weft-test-", ::getpid(), "-", count++);
  std::filesystem::create_directories(path_);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TempDir::Write(const std::string& name, const std::string& content) const {
  std::ofstream file(path_ / name, std::ios::binary);
  file << content;
  WEFT_CHECK(file.good());
}

std::string TinyModel::ConfigJson() const {
  return absl::StrCat(
      R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
          "rms_norm_eps": 1e-06, "rope_theta": 10000, "use_sliding_window": false, )",
      more, "\"vocab_size\": ", vocab_size, ", \"hidden_size\": ", hidden_size,
      ", \"intermediate_size\": ", intermediate_size, ", \"num_hidden_layers\": ", num_layers,
      ", \"num_attention_heads\": ", num_heads, ", \"num_key_value_heads\": ", num_kv_heads,
      ", \"max_position_embeddings\": ", max_position_embeddings,
      ", \"tie_word_embeddings\": ", tied_head ? "true" : "false", ", \"torch_dtype\": \"", dtype,
      "\"}");
}

ModelConfig TinyModel::Config() const {
  const auto config = ParseModelConfig("tiny", ConfigJson());
  WEFT_CHECK(config.ok());
  return *config;
}

std::string SafetensorsBytes(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return absl::StrCat(bytes, header, data);
}

std::string SafetensorsBytes(const std::vector<TensorData>& tensors, int padding) {
  std::string header = "{", data;
  for (const TensorData& tensor : tensors) {
    absl::StrAppend(&header, header.size() > 1 ? "," : "", "\"", tensor.name, "\":{\"dtype\":\"",
                    tensor.dtype, "\",\"shape\":[", absl::StrJoin(tensor.shape, ","),
                    "],\"data_offsets\":[", data.size(), ",", data.size() + tensor.bytes.size(),
                    "]}");
    data += tensor.bytes;
  }
  return SafetensorsBytes(header + "}" + std::string(padding, ' '), data);
}

std::vector<TensorData> DummyTensors(const ModelConfig& config) {
  const char* dtype = config.dtype == DType::kFloat32    ? "F32"
                      : config.dtype == DType::kBFloat16 ? "BF16"
                                                         : "F16";
  const auto source = MakeDummyWeights();
  std::vector<TensorData> tensors;
  for (const TensorSpec& spec : Qwen2Tensors(config)) {
    std::string bytes(spec.num_elements() * BytesOf(config.dtype), '\0');
    WEFT_CHECK(source->Read(spec, config.dtype, bytes.data()).ok());
    tensors.push_back({spec.name, dtype, spec.shape, std::move(bytes)});
  }
  return tensors;
}

}  // namespace weft::worker::testing
