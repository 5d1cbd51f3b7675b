#include "common/tls_files.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr unsigned char kSessionContext[] = "weft";

// A key under a password would have OpenSSL ask the terminal.
int NoPassword(char*, int, int, void*) { return 0; }

// The first thing that went wrong, as OpenSSL says it.
std::string Cause() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unreadable";
}

absl::Status Unusable(const std::string& flag, const std::string& file, const std::string& cause) {
  return absl::InvalidArgumentError(absl::StrCat(flag, " ", file, ": ", cause));
}

absl::Status CheckNames(const TlsFiles& files, const TlsFlagNames& flags) {
  if (!files.cert.empty() && !files.key.empty()) return absl::OkStatus();
  const std::string& given = !files.cert.empty()  ? flags.cert
                             : !files.key.empty() ? flags.key
                                                  : flags.ca;
  return absl::InvalidArgumentError(
      files.cert.empty() && files.key.empty()
          ? absl::StrCat(given, " is given without ", flags.cert, " and ", flags.key)
          : absl::StrCat(given, " is given without ", files.cert.empty() ? flags.cert : flags.key,
                         ": TLS takes both"));
}

absl::Status AskForCertificate(SSL_CTX* context, const std::string& flag, const std::string& file) {
  if (SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
    return Unusable(flag, file, absl::StrCat("no PEM certificate: ", Cause()));
  }
  // Named in the handshake, so that a client with several knows which to show.
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(file.c_str()));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // A resumed session answers for its certificate only under this name.
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadTls(const TlsFiles& files, const TlsFlagNames& flags) {
  if (auto s = CheckNames(files, flags); !s.ok()) return s;
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), kCiphers);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(context.get(), NoPassword);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) != 1) {
    return Unusable(flags.cert, files.cert, absl::StrCat("no PEM certificate: ", Cause()));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Unusable(flags.key, files.key,
                    absl::StrCat("no PEM key without a password, or not that of ", flags.cert, " ",
                                 files.cert, ": ", Cause()));
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return Unusable(flags.key, files.key,
                    absl::StrCat("is not the key of ", flags.cert, " ", files.cert));
  }
  if (ExpiryOf(context.get()) < std::time(nullptr)) {
    return Unusable(flags.cert, files.cert, "has expired");
  }
  if (!files.ca.empty()) {
    if (auto s = AskForCertificate(context.get(), flags.ca, files.ca); !s.ok()) return s;
  }
  return context;
}

std::time_t ExpiryOf(SSL_CTX* context) {
  std::tm time{};
  ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &time);
  return timegm(&time);
}

}  // namespace weft
