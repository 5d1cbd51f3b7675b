// What a model directory recommends for generating: generation_config.json,
// with config.json behind it for the ids.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/sampling.h"

namespace weft {

// A field is empty where no file names it.
struct GenerationConfig {
  std::vector<TokenId> eos_token_ids;   // any of them ends a sequence
  std::optional<TokenId> bos_token_id;  // generation_config.json's only: R1's config.json
                                        // calls its EOS "bos"
  std::optional<TokenId> pad_token_id;
  std::optional<bool> do_sample;  // false: the recommendation is greedy
  std::optional<float> temperature;
  std::optional<int> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<int> max_new_tokens;
};

// A directory without generation_config.json takes its end-of-text ids from
// config.json. Errors name file and field.
absl::StatusOr<GenerationConfig> LoadGenerationConfig(const std::string& model_dir);

}  // namespace weft
