#include "gateway/auth/api_key.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace weft::auth {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr size_t kMaxKeyBytes = 512;

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

KeyHash KeyHash::Of(std::string_view key) {
  KeyHash hash;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.bytes_.data());
  return hash;
}

absl::StatusOr<KeyHash> KeyHash::Parse(std::string_view text) {
  KeyHash hash;
  const std::string_view digits = text.starts_with(kPrefix) ? text.substr(kPrefix.size()) : "";
  if (digits.size() != 2 * hash.bytes_.size() ||
      !std::all_of(digits.begin(), digits.end(), IsHex)) {
    return absl::InvalidArgumentError(
        "must be sha256: and the 64 hexadecimal digits of the key's SHA-256");
  }
  const std::string bytes = absl::HexStringToBytes(absl::string_view(digits.data(), digits.size()));
  std::copy(bytes.begin(), bytes.end(), hash.bytes_.begin());
  return hash;
}

std::string KeyHash::ToString() const {
  const absl::string_view bytes(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
  return absl::StrCat(absl::string_view(kPrefix.data(), kPrefix.size()),
                      absl::BytesToHexString(bytes));
}

bool KeyHash::operator==(const KeyHash& other) const {
  return CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), bytes_.size()) == 0;
}

std::string NewApiKey() {
  unsigned char bytes[32];
  WEFT_CHECK(RAND_bytes(bytes, sizeof bytes) == 1);
  return absl::StrCat("sk-weft-", absl::WebSafeBase64Escape(absl::string_view(
                                      reinterpret_cast<const char*>(bytes), sizeof bytes)));
}

absl::Status ValidateApiKey(std::string_view key) {
  const bool is_visible =
      std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!key.empty() && is_visible && key.size() <= kMaxKeyBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("an API key is 1 to ", kMaxKeyBytes, " visible ASCII characters"));
}

}  // namespace weft::auth
