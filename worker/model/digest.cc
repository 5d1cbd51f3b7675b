#include "worker/model/digest.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "common/check.h"

namespace weft::worker {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest() : state_(std::make_unique<State>()) {
  WEFT_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}

Digest::~Digest() = default;

void Digest::Add(std::string_view bytes) {
  WEFT_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Digest::Hex() {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  WEFT_CHECK(EVP_DigestFinal_ex(state_->context, sum, &length) == 1);
  return absl::BytesToHexString(std::string(sum, sum + length));
}

}  // namespace weft::worker
