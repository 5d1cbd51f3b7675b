#include "gateway/openai/fields.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gateway/openai/error.h"

namespace weft::openai {

namespace json = boost::json;

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "unknown";
}

bool ReadInt(const json::value& value, int64_t& out) {
  if (const int64_t* i = value.if_int64()) {
    out = *i;
    return true;
  }
  return false;  // uint64 is only made for what is beyond int64
}

const json::value* Fields::Get(std::string_view name) {
  known_.insert(name);
  if (!status_.ok()) return nullptr;
  const json::value* value = object_.if_contains({name.data(), name.size()});
  return value && !value->is_null() ? value : nullptr;
}

void Fields::Fail(std::string_view name, std::string_view message) {
  if (!status_.ok()) return;
  const std::string path = Path(name);
  status_ = ParamError(path, absl::StrCat("'", path, "' ", std::string(message)));
}

namespace {

std::string Wanted(std::string_view wanted, const json::value& got) {
  return absl::StrCat("must be ", std::string(wanted), ", not ", std::string(KindName(got)));
}

}  // namespace

void Fields::Int(std::string_view name, int64_t& out) {
  const json::value* value = Get(name);
  if (!value || ReadInt(*value, out)) return;
  // An integer beyond 2^64 has become a double.
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (value->is_uint64() || (value->is_double() && std::abs(value->get_double()) >= kTwoTo63)) {
    return Fail(name, "is beyond 64 bits");
  }
  Fail(name, Wanted("an integer", *value));
}

void Fields::Int(std::string_view name, std::optional<int64_t>& out) {
  if (!Get(name)) return;
  int64_t number = 0;
  Int(name, number);
  if (status_.ok()) out = number;
}

void Fields::Number(std::string_view name, std::optional<double>& out) {
  const json::value* value = Get(name);
  if (!value) return;
  if (!value->is_number()) return Fail(name, Wanted("a number", *value));
  out = value->to_number<double>();
}

void Fields::Bool(std::string_view name, bool& out) {
  const json::value* value = Get(name);
  if (!value) return;
  if (!value->is_bool()) return Fail(name, Wanted("true or false", *value));
  out = value->get_bool();
}

void Fields::Bool(std::string_view name, std::optional<bool>& out) {
  if (!Get(name)) return;
  bool flag = false;
  Bool(name, flag);
  if (status_.ok()) out = flag;
}

void Fields::String(std::string_view name, std::string& out) {
  const json::value* value = Get(name);
  if (!value) return;
  if (!value->is_string()) return Fail(name, Wanted("a string", *value));
  out.assign(value->get_string().data(), value->get_string().size());
}

void Fields::StringOrStrings(std::string_view name, std::vector<std::string>& out) {
  const json::value* value = Get(name);
  if (!value) return;
  if (const json::string* one = value->if_string()) {
    out.assign(1, std::string(one->data(), one->size()));
    return;
  }
  const json::array* list = value->if_array();
  if (!list) return Fail(name, Wanted("a string or an array of strings", *value));
  for (const json::value& item : *list) {
    const json::string* text = item.if_string();
    if (!text)
      return Fail(name, absl::StrCat("must hold strings, not ", std::string(KindName(item))));
    out.emplace_back(text->data(), text->size());
  }
}

void Fields::Ints(std::string_view name, std::vector<int64_t>& out) {
  const json::value* value = Get(name);
  if (!value) return;
  const json::array* list = value->if_array();
  if (!list) return Fail(name, Wanted("an array of integers", *value));
  out.reserve(list->size());
  for (const json::value& item : *list) {
    int64_t number = 0;
    if (!ReadInt(item, number)) {
      return Fail(name, absl::StrCat("must hold integers, not ", std::string(KindName(item))));
    }
    out.push_back(number);
  }
}

const json::object* Fields::Object(std::string_view name) {
  const json::value* value = Get(name);
  if (!value) return nullptr;
  if (!value->is_object()) {
    Fail(name, Wanted("an object", *value));
    return nullptr;
  }
  return &value->get_object();
}

void Fields::Unsupported(std::string_view name) {
  const json::value* value = Get(name);
  if (!value) return;
  const bool without_effect = (value->is_bool() && !value->get_bool()) ||
                              (value->is_int64() && value->get_int64() == 0) ||
                              (value->is_string() && value->get_string().empty()) ||
                              (value->is_array() && value->get_array().empty()) ||
                              (value->is_object() && value->get_object().empty());
  if (!without_effect) Fail(name, "is not supported");
}

std::vector<std::string> Fields::Known() const {
  std::vector<std::string> known(known_.begin(), known_.end());
  std::sort(known.begin(), known.end());
  return known;
}

std::vector<std::string> Fields::Unknown() const {
  constexpr size_t kMaxNames = 8;
  constexpr size_t kMaxBytes = 64;
  std::vector<std::string> unknown;
  for (const auto& item : object_) {
    const std::string_view key(item.key().data(), item.key().size());
    if (known_.contains(key)) continue;
    if (unknown.size() == kMaxNames) {
      unknown.push_back("...");
      break;
    }
    const bool is_name = key.size() <= kMaxBytes && std::all_of(key.begin(), key.end(), [](char c) {
                           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
                         });
    unknown.push_back(is_name ? Path(key) : "(no name)");
  }
  return unknown;
}

void LogUnknown(const Fields& fields) {
  const std::vector<std::string> unknown = fields.Unknown();
  if (!unknown.empty()) spdlog::debug("ignored fields: {}", absl::StrJoin(unknown, ", "));
}

}  // namespace weft::openai
