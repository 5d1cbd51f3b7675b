#include "gateway/openai/json_reader.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/openai/fields.h"
#include "gateway/openai/json_writer.h"
#include "text/utf8.h"

namespace weft::openai {
namespace {

namespace json = boost::json;

// Builds the value as Boost's own handler does, and looks at keys and numbers on
// the way.
class Handler {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  using Error = json::error_code;

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) {
    first_key_.push_back(keys_.size());
    return true;
  }
  bool on_object_end(std::size_t n, Error& error) {
    const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(first_key_.back());
    std::sort(begin, keys_.end());
    const auto twice = std::adjacent_find(begin, keys_.end());
    if (twice != keys_.end()) {
      return Fail(absl::StrCat("the key ", Excerpt(*twice), " stands twice in one object"), error);
    }
    keys_.erase(begin, keys_.end());
    first_key_.pop_back();
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t n, Error&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view s, std::size_t, Error&) {
    partial_key_.append(s.data(), s.size());
    stack_.push_chars(s);
    return true;
  }
  bool on_key(json::string_view s, std::size_t, Error&) {
    partial_key_.append(s.data(), s.size());
    keys_.push_back(std::exchange(partial_key_, {}));
    stack_.push_key(s);
    return true;
  }
  bool on_string_part(json::string_view s, std::size_t, Error&) {
    stack_.push_chars(s);
    return true;
  }
  bool on_string(json::string_view s, std::size_t, Error&) {
    stack_.push_string(s);
    return true;
  }
  bool on_number_part(json::string_view, Error&) { return true; }
  bool on_int64(std::int64_t i, json::string_view, Error&) {
    stack_.push_int64(i);
    return true;
  }
  bool on_uint64(std::uint64_t u, json::string_view, Error&) {
    stack_.push_uint64(u);
    return true;
  }
  bool on_double(double d, json::string_view, Error& error) {
    if (!std::isfinite(d)) return Fail("a number is too large", error);
    stack_.push_double(d);
    return true;
  }
  bool on_bool(bool b, Error&) {
    stack_.push_bool(b);
    return true;
  }
  bool on_null(Error&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }

  json::value_stack& stack() { return stack_; }
  const std::string& complaint() const { return complaint_; }

 private:
  bool Fail(std::string complaint, Error& error) {
    complaint_ = std::move(complaint);
    error = json::error::syntax;
    return false;
  }

  json::value_stack stack_;
  std::string partial_key_;
  std::vector<std::string> keys_;       // of the objects still open, outermost first
  std::vector<std::size_t> first_key_;  // where each open object's keys begin
  std::string complaint_;
};

}  // namespace

absl::StatusOr<json::value> ParseJson(std::string_view text) {
  const auto wrong = [](const auto&... parts) {
    return absl::InvalidArgumentError(
        absl::StrCat("The request body is not valid JSON: ", parts...));
  };
  if (text.empty()) return wrong("it is empty");
  if (text.starts_with("\xEF\xBB\xBF")) return wrong("it starts with a byte order mark");
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  json::basic_parser<Handler> parser(options);
  parser.handler().stack().reset();
  json::error_code error;
  const std::size_t used = parser.write_some(/*more=*/false, text.data(), text.size(), error);
  if (error) {
    if (!parser.handler().complaint().empty()) return wrong(parser.handler().complaint());
    if (error == json::error::too_deep) {
      return wrong("it is nested more than ", kMaxJsonDepth, " levels deep");
    }
    if (error == json::error::incomplete) return wrong("it ends too early");
    const std::string repaired = text::ToUtf8(text);
    const auto broken =
        std::mismatch(text.begin(), text.end(), repaired.begin(), repaired.end()).first;
    if (broken != text.end()) return wrong("it is not UTF-8 at byte ", broken - text.begin());
    return wrong(error.message(), " at byte ", used);
  }
  if (used != text.size()) return wrong("something follows its end, at byte ", used);
  return parser.handler().stack().release();
}

absl::StatusOr<json::object> ParseObject(std::string_view text) {
  absl::StatusOr<json::value> value = ParseJson(text);
  if (!value.ok()) return value.status();
  if (!value->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("The request body must be a JSON object, not ",
                                                   std::string(KindName(*value)), "."));
  }
  return std::move(value->get_object());
}

}  // namespace weft::openai
