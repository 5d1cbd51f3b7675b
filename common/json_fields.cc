#include "common/json_fields.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

namespace json = boost::json;
using boost::json::string_view;

// No configuration is larger; tokenizers are some 10 MB.
constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;

// Boost's parser keeps the last of two equal keys. This handler, fed by the same
// parser, remembers each open object's keys and stops at a repetition.
struct KeyWatcher {
  static constexpr std::size_t max_object_size = -1;
  static constexpr std::size_t max_array_size = -1;
  static constexpr std::size_t max_key_size = -1;
  static constexpr std::size_t max_string_size = -1;

  std::vector<std::unordered_set<std::string>> objects;
  std::string key;
  std::string repeated;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    objects.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    objects.pop_back();
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_key_part(string_view part, std::size_t, json::error_code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(string_view last, std::size_t, json::error_code& error) {
    key.append(last.data(), last.size());
    if (!objects.back().insert(key).second) {
      repeated = key;
      error = json::error::exception;
      return false;
    }
    key.clear();
    return true;
  }
  bool on_string_part(string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, string_view, json::error_code&) { return true; }
  bool on_uint64(uint64_t, string_view, json::error_code&) { return true; }
  bool on_double(double, string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(string_view, json::error_code&) { return true; }
  bool on_comment(string_view, json::error_code&) { return true; }
};

std::string Shown(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::optional<int64_t> AsInt(const json::value& value) {
  json::error_code error;
  int64_t number = value.to_number<int64_t>(error);
  if (error) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  auto failed = [&](const char* what) {
    std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("cannot be opened");
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info;
  if (::fstat(fd, &info) != 0) return failed("cannot be examined");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + ": not a regular file");
  if (info.st_size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", info.st_size, " bytes; at most ", max_bytes, " are read"));
  }
  std::string text(info.st_size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot be read");
    if (got == 0) return absl::DataLossError(path + ": became shorter while it was read");
    done += got;
  }
  return text;
}

absl::StatusOr<json::object> ParseJsonObject(std::string_view text) {
  json::error_code error;
  json::basic_parser<KeyWatcher> watcher(json::parse_options{});
  const size_t used = watcher.write_some(/*more=*/false, text.data(), text.size(), error);
  if (!watcher.handler().repeated.empty() || error == json::error::exception) {
    return absl::InvalidArgumentError(
        absl::StrCat("the name \"", watcher.handler().repeated, "\" stands twice in one object"));
  }
  if (!error && used < text.size() &&
      text.find_first_not_of(" \t\r\n", used) != std::string_view::npos) {
    error = json::error::extra_data;
  }
  if (error) return absl::InvalidArgumentError("not JSON: " + error.message());
  json::value value = json::parse(string_view(text.data(), text.size()), error);
  if (error) return absl::InvalidArgumentError("not JSON: " + error.message());
  if (!value.is_object()) return absl::InvalidArgumentError("not a JSON object");
  return std::move(value.as_object());
}

absl::StatusOr<JsonFields> JsonFields::Parse(std::string source, std::string_view text) {
  auto object = ParseJsonObject(text);
  if (!object.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": ", object.status().message()));
  }
  return JsonFields(std::move(source), *std::move(object));
}

absl::StatusOr<JsonFields> JsonFields::Load(const std::string& path) {
  auto text = ReadFile(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  return Parse(path, *text);
}

const json::value* JsonFields::Find(std::string_view name) const {
  const json::value* value = object_.if_contains(string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool JsonFields::Has(std::string_view name) const { return Find(name) != nullptr; }

void JsonFields::Refuse(std::string_view name, const std::string& what) {
  if (status_.ok()) {
    status_ = absl::InvalidArgumentError(absl::StrCat(source_, ": ", std::string(name), " ", what));
  }
}

int64_t JsonFields::Int(std::string_view name, IntRange range, std::optional<int64_t> fallback) {
  const json::value* value = Find(name);
  if (value == nullptr) {
    if (!fallback) Refuse(name, "is missing");
    return fallback.value_or(range.min);
  }
  const auto number = AsInt(*value);
  if (number && *number >= range.min && *number <= range.max) return *number;
  Refuse(name, absl::StrCat("must be an integer between ", range.min, " and ", range.max, ", not ",
                            Shown(*value)));
  return range.min;
}

std::vector<int64_t> JsonFields::Ints(std::string_view name, IntRange range) {
  const json::value* value = Find(name);
  if (value == nullptr) return {};
  std::vector<int64_t> numbers;
  const json::array one = {*value};
  for (const json::value& item : value->is_array() ? value->get_array() : one) {
    const auto number = AsInt(item);
    if (!number || *number < range.min || *number > range.max) {
      Refuse(name, absl::StrCat("must be an integer between ", range.min, " and ", range.max,
                                " or a list of such, not ", Shown(*value)));
      return {};
    }
    numbers.push_back(*number);
  }
  return numbers;
}

double JsonFields::Number(std::string_view name, std::optional<double> fallback) {
  const json::value* value = Find(name);
  if (value == nullptr) {
    if (!fallback) Refuse(name, "is missing");
    return fallback.value_or(0);
  }
  json::error_code error;
  const double number = value->is_number() ? value->to_number<double>(error) : NAN;
  if (!error && std::isfinite(number)) return number;
  Refuse(name, absl::StrCat("must be a finite number, not ", Shown(*value)));
  return fallback.value_or(0);
}

bool JsonFields::Bool(std::string_view name, std::optional<bool> fallback) {
  const json::value* value = Find(name);
  if (value == nullptr) {
    if (!fallback) Refuse(name, "is missing");
    return fallback.value_or(false);
  }
  if (value->is_bool()) return value->get_bool();
  Refuse(name, absl::StrCat("must be true or false, not ", Shown(*value)));
  return false;
}

std::string JsonFields::String(std::string_view name, std::optional<std::string> fallback) {
  const json::value* value = Find(name);
  if (value == nullptr) {
    if (!fallback) Refuse(name, "is missing");
    return fallback.value_or("");
  }
  if (value->is_string()) return std::string(value->get_string().c_str());
  Refuse(name, absl::StrCat("must be a string, not ", Shown(*value)));
  return "";
}

}  // namespace weft
