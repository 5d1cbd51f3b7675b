// What browsers are told about pages of other origins.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/http/message.h"

namespace weft {
class Flags;
}

namespace weft::openai {

// Keys travel in a header that a page must have been given, never in cookies: so any page may
// ask, by default, and the key decides.
class Cors {
 public:
  // "*": any origin. "none": no other. Else origins such as https://chat.example, each one or
  // several, apart by commas. InvalidArgument for anything else.
  static absl::StatusOr<Cors> Parse(const std::vector<std::string>& origins);
  Cors() = default;  // any

  // Lines that every answer carries, whoever asks.
  std::string CommonHeaders() const;
  // Lines of the answer to this request, beside those.
  std::string HeadersFor(const http::HttpRequest& request) const;
  // The answer to OPTIONS, for whoever asks first; `allow` as in the header of that name.
  http::HttpResponse Preflight(const http::HttpRequest& request, std::string_view allow) const;

 private:
  bool Allows(std::string_view origin) const;

  bool any_ = true;
  std::vector<std::string> origins_;  // unless any_
};

// --cors-origins
void AddCorsFlags(Flags& flags, std::vector<std::string>& origins);

}  // namespace weft::openai
