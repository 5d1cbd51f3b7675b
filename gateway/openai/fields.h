// Reads the fields of one JSON object, by name and type. The first thing wrong is
// kept and the rest skipped, so that a list of fields reads as a list:
//
//   Fields fields(object, "");
//   fields.Int("n", options.n);
//   fields.Bool("stream", call.stream);
//   if (!fields.status().ok()) return fields.status();
//
// null is as good as absent everywhere. A wrong type is InvalidArgument that names
// the field and says what would be right.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"

namespace weft::openai {

class Fields {
 public:
  // `path` stands before the names in errors ("messages[0]."). The object must
  // outlive this.
  Fields(const boost::json::object& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  // Integers are written without a fraction and fit in 64 bits.
  void Int(std::string_view name, std::optional<int64_t>& out);
  void Int(std::string_view name, int64_t& out);
  void Number(std::string_view name, std::optional<double>& out);
  void Bool(std::string_view name, bool& out);
  void Bool(std::string_view name, std::optional<bool>& out);
  void String(std::string_view name, std::string& out);
  // A string is taken for a list of one.
  void StringOrStrings(std::string_view name, std::vector<std::string>& out);
  void Ints(std::string_view name, std::vector<int64_t>& out);
  // The value for reading by hand; nullptr if it is absent or null.
  const boost::json::value* Get(std::string_view name);
  const boost::json::object* Object(std::string_view name);

  // Accepted and without effect.
  void Ignore(std::string_view name) { known_.insert(name); }
  // Refused unless null, false, 0, "" or empty: to ignore it would change the answer
  // in silence.
  void Unsupported(std::string_view name);

  void Fail(std::string_view name, std::string_view message);
  // The first failure of a nested object.
  void FailAs(const absl::Status& status) { status_.Update(status); }
  std::string Path(std::string_view name) const { return path_ + std::string(name); }
  const absl::Status& status() const { return status_; }

  // Every name that was asked for, sorted.
  std::vector<std::string> Known() const;
  // Names that nobody asked for, for the log: a few, and only what is fit to stand
  // there.
  std::vector<std::string> Unknown() const;

 private:
  const boost::json::object& object_;
  const std::string path_;
  std::unordered_set<std::string_view> known_;
  absl::Status status_;
};

// Says at debug which fields nobody asked for.
void LogUnknown(const Fields& fields);

// "a string", "null", ... for messages.
std::string_view KindName(const boost::json::value& value);

inline std::string_view View(const boost::json::string& text) { return {text.data(), text.size()}; }

// True for a JSON integer in int64.
bool ReadInt(const boost::json::value& value, int64_t& out);

}  // namespace weft::openai
