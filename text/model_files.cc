#include "text/model_files.h"

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace weft::text {
namespace {

namespace json = boost::json;

std::optional<std::string> ToText(const json::value* value) {
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

absl::StatusOr<std::optional<std::string>> Token(const json::object& config, const char* key) {
  const json::value* value = config.if_contains(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_object()) value = value->get_object().if_contains("content");
  std::optional<std::string> token = ToText(value);
  if (!token) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " must be a string or an object with a string \"content\""));
  }
  return token;
}

absl::StatusOr<std::optional<std::string>> Template(const json::object& config) {
  const json::value* value = config.if_contains("chat_template");
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_string()) return ToText(value);
  if (!value->is_array()) {
    return absl::InvalidArgumentError("chat_template must be a string or a list");
  }
  for (const json::value& named : value->get_array()) {
    if (!named.is_object()) continue;
    if (ToText(named.get_object().if_contains("name")) != "default") continue;
    if (auto text = ToText(named.get_object().if_contains("template"))) return text;
  }
  return absl::InvalidArgumentError("none of the chat templates is named \"default\"");
}

absl::StatusOr<TokenizerConfig> ParseConfig(const std::string& text) {
  boost::system::error_code error;
  json::value root = json::parse(text, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.message()));
  if (!root.is_object()) return absl::InvalidArgumentError("not a JSON object");
  const json::object& object = root.get_object();

  TokenizerConfig config;
  for (auto [key, token] :
       {std::pair{"bos_token", &config.bos_token}, std::pair{"eos_token", &config.eos_token},
        std::pair{"pad_token", &config.pad_token}, std::pair{"unk_token", &config.unk_token}}) {
    auto value = Token(object, key);
    if (!value.ok()) return value.status();
    *token = *std::move(value);
  }
  const json::value* add_bos = object.if_contains("add_bos_token");
  config.add_bos_token = add_bos != nullptr && add_bos->is_bool() && add_bos->get_bool();
  auto chat_template = Template(object);
  if (!chat_template.ok()) return chat_template.status();
  config.chat_template = *std::move(chat_template);
  return config;
}

}  // namespace

absl::StatusOr<std::string> ReadModelFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  }
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory"));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file.peek() != std::ifstream::traits_type::eof()) content << file.rdbuf();
  if (!file.is_open() || file.bad() || content.fail()) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
  }
  return std::move(content).str();
}

absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer_config.json";
  auto text = ReadModelFile(path);
  if (!text.ok()) return text.status();
  auto config = ParseConfig(*text);
  if (!config.ok()) {
    return absl::Status(config.status().code(),
                        absl::StrCat(path, ": ", config.status().message()));
  }
  return config;
}

}  // namespace weft::text
