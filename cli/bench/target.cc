#include "cli/bench/target.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::bench {
namespace {

absl::Status BadUrl(const std::string& url, const char* cause) {
  return absl::InvalidArgumentError(
      absl::StrCat("--base-url ", url, ": ", cause, "; it looks like http://127.0.0.1:8000"));
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

}  // namespace

absl::StatusOr<Target> ParseUrl(const std::string& url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string::npos) return BadUrl(url, "it has no scheme");
  const std::string scheme = absl::AsciiStrToLower(url.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https") {
    return BadUrl(url, "its scheme is neither http nor https");
  }
  const bool is_tls = scheme == "https";
  std::string_view rest = std::string_view(url).substr(scheme_end + 3);
  if (rest.find_first_of("?#@ \t\r\n") != std::string_view::npos) {
    return BadUrl(url, "it may hold host, port and path only");
  }

  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  std::string_view base = rest.substr(slash);
  while (base.ends_with("/")) base.remove_suffix(1);
  if (base.ends_with("/v1")) base.remove_suffix(3);

  std::string_view host = authority;
  std::string_view port = is_tls ? "443" : "80";
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (!IsPort(port)) return BadUrl(url, "its port is not a number from 1 to 65535");
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of("[]:") != std::string_view::npos) {
    return BadUrl(url, "an IPv6 address stands in brackets");
  }
  if (host.empty()) return BadUrl(url, "it has no host");
  return Target{.is_tls = is_tls,
                .host = std::string(host),
                .port = std::string(port),
                .authority = std::string(authority),
                .base = std::string(base)};
}

}  // namespace weft::bench
