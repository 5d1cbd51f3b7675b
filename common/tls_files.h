// Certificates in files, as every listener and dialler of Weft takes them.
#pragma once

#include <ctime>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

using SSL_CTX = struct ssl_ctx_st;

namespace weft {

// PEM. `cert` and `key`: both or neither; `cert` may go on with the chain that leads to its issuer.
struct TlsFiles {
  std::string cert;
  std::string key;
  // Authorities. Not empty: the other side must show a certificate that one of them has issued.
  std::string ca;
  bool empty() const { return cert.empty() && key.empty() && ca.empty(); }
};

// The flags that name such files, for messages.
struct TlsFlagNames {
  std::string cert;
  std::string key;
  std::string ca;
};

// For a listener: TLS 1.2 and later, ciphers with forward secrecy. InvalidArgument, naming flag
// and file, for what cannot be used: one without the other, an unreadable or encrypted file, a key
// that is not the certificate's, an expired certificate.
absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadTls(const TlsFiles& files, const TlsFlagNames& flags);

// When the certificate in use expires, in Unix seconds.
std::time_t ExpiryOf(SSL_CTX* context);

}  // namespace weft
