#include "common/generation_config.h"

#include <limits>

#include "common/json_fields.h"

namespace weft {
namespace {

constexpr JsonFields::IntRange kIds = {0, std::numeric_limits<TokenId>::max()};
constexpr JsonFields::IntRange kCounts = {0, std::numeric_limits<int>::max()};

std::optional<int> OptionalInt(JsonFields& json, const char* name, JsonFields::IntRange range) {
  if (!json.Has(name)) return std::nullopt;
  return static_cast<int>(json.Int(name, range));
}

std::optional<float> OptionalNumber(JsonFields& json, const char* name, double low, double high) {
  if (!json.Has(name)) return std::nullopt;
  const double value = json.Number(name);
  if (!(value >= low && value <= high)) json.Refuse(name, "is out of range");
  return static_cast<float>(value);
}

// Some files list one id as a list, some as a number, and some name the same twice.
std::vector<TokenId> EosIds(JsonFields& json) {
  std::vector<TokenId> ids;
  for (int64_t id : json.Ints("eos_token_id", kIds)) ids.push_back(static_cast<TokenId>(id));
  return ids;
}

}  // namespace

absl::StatusOr<GenerationConfig> LoadGenerationConfig(const std::string& model_dir) {
  GenerationConfig config;
  auto json = JsonFields::Load(model_dir + "/generation_config.json");
  if (json.ok()) {
    config.eos_token_ids = EosIds(*json);
    config.bos_token_id = OptionalInt(*json, "bos_token_id", kIds);
    config.pad_token_id = OptionalInt(*json, "pad_token_id", kIds);
    if (json->Has("do_sample")) config.do_sample = json->Bool("do_sample");
    config.temperature = OptionalNumber(*json, "temperature", 0, 100);
    config.top_k = OptionalInt(*json, "top_k", kCounts);
    config.top_p = OptionalNumber(*json, "top_p", 0, 1);
    config.min_p = OptionalNumber(*json, "min_p", 0, 1);
    config.repetition_penalty = OptionalNumber(*json, "repetition_penalty", 1e-3, 1e3);
    config.max_new_tokens = OptionalInt(*json, "max_new_tokens", kCounts);
    if (!json->status().ok()) return json->status();
  } else if (!absl::IsNotFound(json.status())) {
    return json.status();
  }
  if (config.eos_token_ids.empty()) {
    auto model = JsonFields::Load(model_dir + "/config.json");
    if (!model.ok()) return model.status();
    config.eos_token_ids = EosIds(*model);
    if (!model->status().ok()) return model->status();
  }
  return config;
}

}  // namespace weft
