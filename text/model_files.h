// The text files of a Hugging Face model directory.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace weft::text {

// The status with the file's name in front.
absl::Status InFile(const std::string& path, const absl::Status& status);

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

struct ChatTemplateSource {
  std::string path;  // of the file that holds it
  std::string text;
};

// As transformers chooses: chat_template.jinja comes before the configuration's. NotFound if
// there is neither.
absl::StatusOr<ChatTemplateSource> FindChatTemplate(const std::string& model_dir,
                                                    const TokenizerConfig& config);

// For clients that tokenize themselves: the JSON object of tokenizer_config.json with tokens as
// strings and the chat template in use.
absl::StatusOr<std::string> TokenizerInfo(const std::string& model_dir);

}  // namespace weft::text
