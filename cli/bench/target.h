// Where requests go.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace weft::bench {

// "http://[::1]:8000/base" -> {false, "::1", "8000", "[::1]:8000", "/base"}.
struct Target {
  bool is_tls = false;
  std::string host;
  std::string port;
  std::string authority;  // for the Host header
  std::string base;       // before /v1; empty or with a leading slash

  // The whole address of `path`, such as "/v1/models".
  std::string Url(const std::string& path) const {
    return (is_tls ? "https://" : "http://") + authority + base + path;
  }
};

// The value of --base-url. A trailing /v1 is left out: clients disagree on whether it
// belongs to the base.
absl::StatusOr<Target> ParseUrl(const std::string& url);

}  // namespace weft::bench
