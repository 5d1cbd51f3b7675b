// A request body to a JSON value, strictly: what two readers could understand
// differently is refused. Beyond RFC 8259's grammar that is: the same key twice,
// text that is no UTF-8, half a surrogate pair, numbers beyond a double, a byte
// order mark, deep nesting.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::openai {

// Deeper is an attack on somebody's stack; real requests stay below ten.
inline constexpr int kMaxJsonDepth = 48;

// InvalidArgument says what is wrong and at which byte.
absl::StatusOr<boost::json::value> ParseJson(std::string_view text);

// The same where nothing but an object will do.
absl::StatusOr<boost::json::object> ParseObject(std::string_view text);

}  // namespace weft::openai
