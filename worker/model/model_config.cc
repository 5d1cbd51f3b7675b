#include "worker/model/model_config.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"

namespace weft::worker {
namespace {

namespace json = boost::json;

constexpr const char* kArchitecture = "Qwen2ForCausalLM";
constexpr JsonFields::IntRange kSizes = {1, 1 << 24};
// The kernels keep a head's vectors in registers, 16 numbers in each.
constexpr int kHeadDimMultiple = 16;
constexpr int kMaxHeadDim = 256;
constexpr int kMaxGroup = 64;
constexpr int64_t kMaxTokenizerBytes = int64_t{256} << 20;

void CheckArchitecture(JsonFields& fields) {
  const json::value* names = fields.Find("architectures");
  if (names == nullptr || !names->is_array() || names->get_array().size() != 1 ||
      !names->get_array()[0].is_string() || names->get_array()[0].get_string() != kArchitecture) {
    fields.Refuse("architectures",
                  absl::StrCat("must be [\"", kArchitecture, "\"], the only one supported, not ",
                               names ? json::serialize(*names).c_str() : "missing"));
  }
  const std::string type = fields.String("model_type", "qwen2");
  if (type != "qwen2") {
    fields.Refuse("model_type", absl::StrCat("must be \"qwen2\", not \"", type, "\""));
  }
}

void CheckRope(JsonFields& fields, ModelConfig& config) {
  config.rope_theta = fields.Number("rope_theta", 10000.0);
  // transformers 5 moves rope_theta into rope_parameters; both names may carry a scaling.
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const json::value* scaling = fields.Find(name);
    if (scaling == nullptr) continue;
    if (!scaling->is_object()) {
      fields.Refuse(name, "must be null or an object");
      return;
    }
    const json::object& object = scaling->get_object();
    for (const char* key : {"rope_type", "type"}) {
      const json::value* type = object.if_contains(key);
      if (type == nullptr || (type->is_string() && type->get_string() == "default")) continue;
      fields.Refuse(name, absl::StrCat("of type ", json::serialize(*type).c_str(),
                                       " is not supported; only null or \"default\" is"));
      return;
    }
    if (const json::value* theta = object.if_contains("rope_theta")) {
      json::error_code error;
      config.rope_theta = theta->to_number<double>(error);
      if (error) fields.Refuse(name, "has a rope_theta that is no number");
    }
  }
  if (!(config.rope_theta > 1)) fields.Refuse("rope_theta", "must be above 1");
}

void CheckAttention(JsonFields& fields, const ModelConfig& config) {
  // Layers from max_window_layers on would see only the window's tokens.
  if (fields.Bool("use_sliding_window", false)) {
    const int64_t window = fields.Int("sliding_window", kSizes, kSizes.max);
    const int64_t full_layers = fields.Int("max_window_layers", {0, kSizes.max}, 28);
    if (window < config.max_position_embeddings && full_layers < config.num_layers) {
      fields.Refuse("use_sliding_window",
                    absl::StrCat("is true and the window of ", window,
                                 " tokens is shorter than the context; only full attention is "
                                 "supported"));
    }
  }
  if (const json::value* types = fields.Find("layer_types"); types && types->is_array()) {
    for (const json::value& type : types->get_array()) {
      if (type.is_string() && type.get_string() == "full_attention") continue;
      fields.Refuse("layer_types", absl::StrCat("holds ", json::serialize(type).c_str(),
                                                "; only \"full_attention\" is supported"));
    }
  }
  if (fields.Bool("use_mrope", false)) {
    fields.Refuse("use_mrope", "is true; only plain rotary embedding is supported");
  }
  if (config.num_kv_heads > 0 && config.num_heads % config.num_kv_heads != 0) {
    fields.Refuse(
        "num_attention_heads",
        absl::StrCat("(", config.num_heads, ") must be a multiple of num_key_value_heads (",
                     config.num_kv_heads, ")"));
  }
  if (const int group = config.num_heads / config.num_kv_heads; group > kMaxGroup) {
    fields.Refuse("num_attention_heads",
                  absl::StrCat("is such that ", group, " heads share a KV head; at most ",
                               kMaxGroup, " are supported"));
  }
  if (config.head_dim % kHeadDimMultiple != 0 || config.head_dim > kMaxHeadDim) {
    fields.Refuse("head_dim", absl::StrCat("must be a multiple of ", kHeadDimMultiple, " up to ",
                                           kMaxHeadDim, ", not ", config.head_dim));
  }
}

void CheckDType(JsonFields& fields, ModelConfig& config) {
  const char* name = fields.Has("torch_dtype") ? "torch_dtype" : "dtype";
  const std::string dtype = fields.String(name, "float32");
  for (DType known : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    if (dtype == NameOf(known)) {
      config.dtype = known;
      return;
    }
  }
  fields.Refuse(name, absl::StrCat("must be bfloat16, float16 or float32, not \"", dtype, "\""));
}

}  // namespace

int64_t ModelConfig::num_parameters() const {
  const int64_t hidden = hidden_size;
  const int64_t attention = qkv_size() * (hidden + 1) + hidden * num_heads * head_dim;
  const int64_t mlp = 3 * hidden * intermediate_size;
  return vocab_size * hidden * (tied_head ? 1 : 2) + hidden +
         num_layers * (attention + mlp + 2 * hidden);
}

int64_t ModelConfig::kv_bytes_per_token(DType kv_dtype) const {
  return int64_t{2} * num_layers * num_kv_heads * head_dim * BytesOf(kv_dtype);
}

absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& source, std::string_view text) {
  auto parsed = JsonFields::Parse(source, text);
  if (!parsed.ok()) return parsed.status();
  JsonFields& fields = *parsed;
  CheckArchitecture(fields);
  if (!fields.status().ok()) return fields.status();  // the rest would only confuse
  if (fields.Has("quantization_config")) {
    fields.Refuse("quantization_config", "is present; only unquantized checkpoints are supported");
  }

  ModelConfig config;
  config.vocab_size = fields.Int("vocab_size", kSizes);
  config.hidden_size = fields.Int("hidden_size", kSizes);
  config.intermediate_size = fields.Int("intermediate_size", kSizes);
  config.num_layers = fields.Int("num_hidden_layers", {1, 1024});
  config.num_heads = fields.Int("num_attention_heads", {1, 4096});
  config.num_kv_heads = fields.Int("num_key_value_heads", {1, 4096}, config.num_heads);
  config.max_position_embeddings = fields.Int("max_position_embeddings", kSizes);
  config.rms_norm_eps = static_cast<float>(fields.Number("rms_norm_eps", 1e-6));
  if (!(config.rms_norm_eps > 0 && config.rms_norm_eps < 1)) {
    fields.Refuse("rms_norm_eps", "must be between 0 and 1");
  }
  config.tied_head = fields.Bool("tie_word_embeddings", false);
  if (fields.Has("head_dim")) {
    config.head_dim = fields.Int("head_dim", {1, kMaxHeadDim});
  } else if (config.hidden_size % config.num_heads == 0) {
    config.head_dim = config.hidden_size / config.num_heads;
  } else {
    fields.Refuse("hidden_size", absl::StrCat("(", config.hidden_size,
                                              ") must be a multiple of num_attention_heads (",
                                              config.num_heads, ")"));
  }
  if (config.hidden_size % 2 != 0 || config.intermediate_size % 2 != 0) {
    fields.Refuse("hidden_size", "and intermediate_size must be even");
  }
  if (const std::string act = fields.String("hidden_act", "silu"); act != "silu") {
    fields.Refuse("hidden_act", absl::StrCat("must be \"silu\", not \"", act, "\""));
  }
  CheckRope(fields, config);
  CheckAttention(fields, config);
  CheckDType(fields, config);
  if (!fields.status().ok()) return fields.status();
  return config;
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir) {
  const std::string path = model_dir + "/config.json";
  auto text = ReadFile(path, int64_t{16} << 20);
  if (!text.ok()) return text.status();
  return ParseModelConfig(path, *text);
}

absl::StatusOr<int> LoadTokenizerVocabSize(const std::string& model_dir,
                                           const ModelConfig& config) {
  const std::string path = model_dir + "/tokenizer.json";
  auto text = ReadFile(path, kMaxTokenizerBytes);
  if (absl::IsNotFound(text.status())) return config.vocab_size;
  if (!text.ok()) return text.status();
  json::error_code error;
  const json::value root = json::parse(*text, error);
  auto refuse = [&](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what...));
  };
  if (error) return refuse("not JSON: ", error.message());
  int64_t last = -1;
  const json::value* vocab = root.find_pointer("/model/vocab", error);
  if (vocab == nullptr || !vocab->is_object()) return refuse("model.vocab must be an object");
  for (const auto& [token, id] : vocab->get_object()) {
    if (!id.is_int64()) return refuse("model.vocab gives a token an id that is no integer");
    last = std::max(last, id.get_int64());
  }
  if (const json::value* added = root.find_pointer("/added_tokens", error);
      added != nullptr && added->is_array()) {
    for (const json::value& token : added->get_array()) {
      const json::value* id = token.is_object() ? token.get_object().if_contains("id") : nullptr;
      if (id == nullptr || !id->is_int64()) return refuse("an added token has no id");
      last = std::max(last, id->get_int64());
    }
  }
  if (last < 0) return refuse("the vocabulary is empty");
  if (last >= config.vocab_size) {
    return refuse("knows id ", last, ", but config.json's vocab_size gives the model ",
                  config.vocab_size, " rows");
  }
  return static_cast<int>(last + 1);
}

}  // namespace weft::worker
