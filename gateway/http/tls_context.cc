#include "gateway/http/tls_context.h"

#include <openssl/ssl.h>
#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

namespace weft::http {
namespace {

constexpr unsigned char kAlpn[] = "\x08http/1.1";

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

prometheus::Counter& Reloads(Metrics& metrics, const char* result) {
  return metrics.Counter("weft_gateway_tls_reloads_total",
                         "Changes of the files of --tls-*; error: what was before stays",
                         {{"result", result}});
}

}  // namespace

absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadHttpsContext(const TlsFiles& files) {
  auto context = LoadTls(files, {"--tls-cert", "--tls-key", "--tls-client-ca"});
  if (!context.ok()) return context;
  // An idle connection owns no buffers; a write that has to wait is tried again from the
  // thread's common one.
  SSL_CTX_set_mode(context->get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context->get(), SelectProtocol, nullptr);
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
  if (!context->files_.ca.empty()) watched.push_back(context->files_.ca);
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
  auto loaded = LoadHttpsContext(files_);
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
