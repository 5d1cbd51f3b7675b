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

absl::StatusOr<json::object> ParseObject(const std::string& text) {
  boost::system::error_code error;
  json::value root = json::parse(text, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.message()));
  if (!root.is_object()) return absl::InvalidArgumentError("not a JSON object");
  return std::move(root.get_object());
}

absl::StatusOr<TokenizerConfig> ParseConfig(const json::object& object) {
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

std::string ConfigPath(const std::string& model_dir) {
  return model_dir + "/tokenizer_config.json";
}

absl::StatusOr<json::object> ReadConfigObject(const std::string& model_dir) {
  auto text = ReadModelFile(ConfigPath(model_dir));
  if (!text.ok()) return text.status();
  auto object = ParseObject(*text);
  if (!object.ok()) return InFile(ConfigPath(model_dir), object.status());
  return object;
}

}  // namespace

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

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
  auto object = ReadConfigObject(model_dir);
  if (!object.ok()) return object.status();
  auto config = ParseConfig(*object);
  if (!config.ok()) return InFile(ConfigPath(model_dir), config.status());
  return config;
}

absl::StatusOr<ChatTemplateSource> FindChatTemplate(const std::string& model_dir,
                                                    const TokenizerConfig& config) {
  const std::string path = model_dir + "/chat_template.jinja";
  auto text = ReadModelFile(path);
  if (text.ok()) return ChatTemplateSource{path, *std::move(text)};
  if (!absl::IsNotFound(text.status())) return text.status();
  if (config.chat_template) return ChatTemplateSource{ConfigPath(model_dir), *config.chat_template};
  return absl::NotFoundError(absl::StrCat(
      model_dir, ": neither chat_template.jinja nor a chat_template in tokenizer_config.json"));
}

absl::StatusOr<std::string> TokenizerInfo(const std::string& model_dir) {
  auto object = ReadConfigObject(model_dir);
  if (!object.ok()) return object.status();
  auto config = ParseConfig(*object);
  if (!config.ok()) return InFile(ConfigPath(model_dir), config.status());
  for (auto& [key, value] : *object) {
    if (!value.is_object()) continue;
    if (auto token = ToText(value.get_object().if_contains("content"))) value = *token;
  }
  object->erase("chat_template");
  const auto source = FindChatTemplate(model_dir, *config);
  if (source.ok()) {
    (*object)["chat_template"] = source->text;
  } else if (!absl::IsNotFound(source.status())) {
    return source.status();
  }
  return json::serialize(*object);
}

}  // namespace weft::text
