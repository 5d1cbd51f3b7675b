// The text files of a Hugging Face model directory.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace weft::text {

// The whole file. NotFound, or what kept us from reading it; errors name the path.
absl::StatusOr<std::string> ReadModelFile(const std::string& path);

// What we use of tokenizer_config.json. A token is given there as a string or
// as an object with "content"; null and absent are nullopt.
struct TokenizerConfig {
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::optional<std::string> pad_token;
  std::optional<std::string> unk_token;
  bool add_bos_token = false;
  // The template itself or, of a list of named ones, the one called "default".
  std::optional<std::string> chat_template;
};

absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const std::string& model_dir);

}  // namespace weft::text
