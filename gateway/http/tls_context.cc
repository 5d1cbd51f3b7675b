#include "gateway/http/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weft::http {
namespace {

constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr unsigned char kAlpn[] = "\x08http/1.1";
constexpr unsigned char kSessionContext[] = "weft";

// A key under a password would have OpenSSL ask the terminal.
int NoPassword(char*, int, int, void*) { return 0; }

int SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// The first thing that went wrong, as OpenSSL says it.
std::string Cause() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unreadable";
}

absl::Status Unusable(const char* flag, const std::string& file, const std::string& cause) {
  return absl::InvalidArgumentError(absl::StrCat(flag, " ", file, ": ", cause));
}

// Unix seconds.
std::time_t ExpiryOf(SSL_CTX* context) {
  std::tm time{};
  ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &time);
  return timegm(&time);
}

prometheus::Counter& Reloads(Metrics& metrics, const char* result) {
  return metrics.Counter("weft_gateway_tls_reloads_total",
                         "Changes of the files of --tls-*; error: what was before stays",
                         {{"result", result}});
}

}  // namespace

absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadTls(const TlsFiles& files) {
  if (files.cert.empty() || files.key.empty()) {
    return absl::InvalidArgumentError(
        !files.cert.empty()  ? "--tls-cert is given without --tls-key: TLS takes both"
        : !files.key.empty() ? "--tls-key is given without --tls-cert: TLS takes both"
                             : "--tls-client-ca is given without --tls-cert and --tls-key");
  }
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), kCiphers);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle connection owns no buffers; a write that has to wait is tried again from the
  // thread's common one.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context.get(), SelectProtocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context.get(), NoPassword);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) != 1) {
    return Unusable("--tls-cert", files.cert, absl::StrCat("no PEM certificate: ", Cause()));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Unusable("--tls-key", files.key,
                    absl::StrCat("no PEM key without a password, or not that of --tls-cert ",
                                 files.cert, ": ", Cause()));
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return Unusable("--tls-key", files.key,
                    absl::StrCat("is not the key of --tls-cert ", files.cert));
  }
  if (ExpiryOf(context.get()) < std::time(nullptr)) {
    return Unusable("--tls-cert", files.cert, "has expired");
  }
  if (!files.client_ca.empty()) {
    if (SSL_CTX_load_verify_file(context.get(), files.client_ca.c_str()) != 1) {
      return Unusable("--tls-client-ca", files.client_ca,
                      absl::StrCat("no PEM certificate: ", Cause()));
    }
    // Named in the handshake, so that a client with several knows which to show.
    SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(files.client_ca.c_str()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    // A resumed session answers for its certificate only under this name.
    SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  }
  return context;
}

TlsContext::TlsContext(TlsFiles files, Metrics& metrics)
    : files_(std::move(files)),
      reloads_(Reloads(metrics, "ok")),
      failed_reloads_(Reloads(metrics, "error")),
      expires_(metrics.Gauge("weft_gateway_tls_certificate_expiry_seconds",
                             "When the certificate in use expires, in Unix seconds")) {}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Start(TlsFiles files, Metrics& metrics,
                                                              std::chrono::milliseconds interval) {
  std::unique_ptr<TlsContext> context(new TlsContext(std::move(files), metrics));
  std::vector<std::string> watched = {context->files_.cert, context->files_.key};
  if (!context->files_.client_ca.empty()) watched.push_back(context->files_.client_ca);
  auto watcher = std::make_unique<FileWatcher>(
      std::move(watched), [context = context.get()] { context->Reload(); }, interval);
  if (absl::Status status = context->Load(); !status.ok()) return status;
  context->watcher_ = std::move(watcher);
  return context;
}

std::shared_ptr<SSL_CTX> TlsContext::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

absl::Status TlsContext::Load() {
  auto loaded = LoadTls(files_);
  if (!loaded.ok()) return loaded.status();
  expires_.Set(static_cast<double>(ExpiryOf(loaded->get())));
  std::lock_guard lock(mutex_);
  current_ = *std::move(loaded);
  return absl::OkStatus();
}

void TlsContext::Reload() {
  if (absl::Status status = Load(); !status.ok()) {
    failed_reloads_.Increment();
    spdlog::error("{}; what was before stays", std::string(status.message()));
    return;
  }
  reloads_.Increment();
  spdlog::info("the files of --tls-* have changed: what they say now is for new connections");
}

}  // namespace weft::http
