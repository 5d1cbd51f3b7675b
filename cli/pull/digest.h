// What a file must be: the hub tells SHA-256 of large files and git's blob id of small ones.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace weft::pull {

struct Digest {
  enum class Kind { kSha256, kGitBlob };  // git's: SHA-1 over "blob SIZE\0" and the bytes
  Kind kind = Kind::kSha256;
  std::string hex;  // lower case

  const char* KindName() const { return kind == Kind::kSha256 ? "SHA-256" : "git blob id"; }
};

// 40 or 64 lower-case hexadecimal digits, as the kind has them. They name files.
bool IsWellFormed(const Digest& digest);

// Over the first `size` bytes of the file, in hexadecimal. Cancelled once `stop` is set.
absl::StatusOr<std::string> HashFile(const std::string& path, int64_t size, Digest::Kind kind,
                                     const std::atomic<bool>& stop);

}  // namespace weft::pull
