// A JSON file that a model directory brings, read field by field. The first
// thing wrong is kept, naming file and field; what is read after it is a
// fallback, so that a caller reads everything and then asks once:
//
//   auto json = JsonFields::Load(dir + "/config.json");
//   config.hidden_size = json->Int("hidden_size", {.min = 1, .max = 1 << 20});
//   if (!json->status().ok()) return json->status();
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft {

// The whole file; NotFound and other errors name it. `max_bytes` bounds what is read.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// An object at the top, no key twice in any object, nothing after it.
absl::StatusOr<boost::json::object> ParseJsonObject(std::string_view text);

class JsonFields {
 public:
  // `source` names the text in errors.
  static absl::StatusOr<JsonFields> Parse(std::string source, std::string_view text);
  static absl::StatusOr<JsonFields> Load(const std::string& path);
  // An object within such a file; `source` says where it stands.
  JsonFields(std::string source, boost::json::object object)
      : source_(std::move(source)), object_(std::move(object)) {}

  // Present and not null.
  bool Has(std::string_view name) const;
  const boost::json::value* Find(std::string_view name) const;  // nullptr unless Has

  // A missing (or null) field without a fallback is an error.
  struct IntRange {
    int64_t min, max;
  };
  int64_t Int(std::string_view name, IntRange range, std::optional<int64_t> fallback = {});
  // One integer, or a list of them; empty if missing.
  std::vector<int64_t> Ints(std::string_view name, IntRange range);
  double Number(std::string_view name, std::optional<double> fallback = {});  // finite
  bool Bool(std::string_view name, std::optional<bool> fallback = {});
  std::string String(std::string_view name, std::optional<std::string> fallback = {});

  // Keeps "<source>: <name> <what>" unless something was wrong before.
  void Refuse(std::string_view name, const std::string& what);

  const absl::Status& status() const { return status_; }
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  boost::json::object object_;
  absl::Status status_;
};

}  // namespace weft
