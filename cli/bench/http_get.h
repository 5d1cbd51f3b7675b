// One GET, waited for: what is asked before a load and beside it.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace weft::bench {

struct GetOptions {
  std::string ca_file;  // as NewCurl's
  std::string api_key;  // empty: none
  double timeout_s = 10;
};

// The body of an answer with status 200. Errors say what went wrong, not the address.
absl::StatusOr<std::string> HttpGet(const std::string& url, const GetOptions& options);

}  // namespace weft::bench
