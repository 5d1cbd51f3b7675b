// --api-key-file: who may call, and how much. A JSON object that holds no key, only hashes:
//
//   {"keys": [{
//     "name": "alice",                      // in the log; each once
//     "key": "sha256:9f86d0…",              // `weft key NAME` makes one
//     "tenant": "math",                     // default: the name
//     "models": ["weft-demo-r1"],           // served names it may use; default: all
//     "requests_per_minute": 60,            // these three: default no limit
//     "tokens_per_minute": 100000,
//     "max_concurrent_requests": 4}]}
//
// Fields that are not known are refused: a limit that is spelled wrong would be none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/auth/caller.h"

namespace weft::auth {

// `source` names the text in errors, each of which says which key and which field.
absl::StatusOr<std::vector<KeyEntry>> ParseKeyFile(const std::string& source,
                                                   std::string_view text);
absl::StatusOr<std::vector<KeyEntry>> LoadKeyFile(const std::string& path);

// One of the "keys", of a name and a hash.
std::string FormatKeyEntry(const std::string& name, const std::string& tenant, const KeyHash& hash);

}  // namespace weft::auth
