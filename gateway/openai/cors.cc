#include "gateway/openai/cors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/flags.h"

namespace weft::openai {
namespace {

constexpr char kExpose[] =
    "Access-Control-Expose-Headers: x-request-id, retry-after, retry-after-ms, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens\r\n";

// As browsers write it: a scheme, "://", host and port, and nothing behind.
bool IsOrigin(const std::string& text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos || scheme == 0 || scheme + 3 == text.size()) return false;
  return text.find_first_of("/*?#@", scheme + 3) == std::string::npos &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c <= '~' && !(c >= 'A' && c <= 'Z'); });
}

}  // namespace

absl::StatusOr<Cors> Cors::Parse(const std::vector<std::string>& origins) {
  Cors cors;
  cors.any_ = false;
  bool is_none = false;
  for (const std::string& list : origins) {
    const std::vector<std::string> parts = absl::StrSplit(list, ',');
    for (const std::string& part : parts) {
      if (part == "*") {
        cors.any_ = true;
      } else if (part == "none") {
        is_none = true;
      } else if (IsOrigin(part)) {
        cors.origins_.push_back(part);
      } else {
        return absl::InvalidArgumentError(
            absl::StrCat("--cors-origins: ", part,
                         " is none of *, none, or an origin such as https://chat.example, in lower "
                         "case and without a path"));
      }
    }
  }
  if (cors.any_ + is_none + !cors.origins_.empty() > 1) {
    return absl::InvalidArgumentError("--cors-origins: * and none stand alone");
  }
  return cors;
}

std::string Cors::CommonHeaders() const {
  if (any_) return absl::StrCat("Access-Control-Allow-Origin: *\r\n", kExpose);
  // A cache must not hand one origin's answer to another.
  return origins_.empty() ? "" : "Vary: Origin\r\n";
}

bool Cors::Allows(std::string_view origin) const {
  return any_ || std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

std::string Cors::HeadersFor(const http::HttpRequest& request) const {
  if (origins_.empty()) return {};
  const std::string_view origin = request.Header("origin");
  if (!Allows(origin)) return {};
  return absl::StrCat("Access-Control-Allow-Origin: ", std::string(origin), "\r\n", kExpose);
}

http::HttpResponse Cors::Preflight(const http::HttpRequest& request, std::string_view allow) const {
  http::HttpResponse response{.status = 204};
  response.headers.emplace_back("Allow", allow);
  if (!Allows(request.Header("origin"))) return response;
  response.headers.emplace_back("Access-Control-Allow-Methods", allow);
  // "*" would not cover Authorization. What the browser wants to send is no secret.
  const std::string_view wanted = request.Header("access-control-request-headers");
  response.headers.emplace_back(
      "Access-Control-Allow-Headers",
      wanted.empty() ? "authorization, content-type, x-request-id" : wanted);
  response.headers.emplace_back("Access-Control-Max-Age", "86400");
  return response;
}

void AddCorsFlags(Flags& flags, std::vector<std::string>& origins) {
  flags
      .Add("--cors-origins", origins,
           "Origins whose pages may call from a browser, apart by commas: *, none, or such as "
           "https://chat.example")
      ->allow_extra_args(false);
}

}  // namespace weft::openai
