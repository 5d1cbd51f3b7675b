// An API key as the server knows it: by its SHA-256 alone. Keys are random and long, so that
// a hash needs no salt and no slow function; whoever reads the file of hashes has no key.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::auth {

class KeyHash {
 public:
  static KeyHash Of(std::string_view key);
  // "sha256:" and 64 hexadecimal digits.
  static absl::StatusOr<KeyHash> Parse(std::string_view text);

  std::string ToString() const;  // as Parse reads it, in lower case

  // In a time that does not depend on where they differ.
  bool operator==(const KeyHash& other) const;

 private:
  std::array<uint8_t, 32> bytes_{};
};

// A new one, of 256 random bits: "sk-weft-" and 43 characters.
std::string NewApiKey();

// What fits in a header: visible ASCII, and some of it.
absl::Status ValidateApiKey(std::string_view key);

}  // namespace weft::auth
