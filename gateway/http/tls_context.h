// The certificate that a TLS listener shows, read again when its files change. TLS 1.2 and
// later, ciphers with forward secrecy, ALPN http/1.1.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_watcher.h"
#include "common/metrics.h"

using SSL_CTX = struct ssl_ctx_st;

namespace weft::http {

// PEM. `cert` and `key`: both or neither; `cert` may go on with the chain that leads to its issuer.
struct TlsFiles {
  std::string cert;
  std::string key;
  // Not empty: clients must show a certificate that one of these has issued, for clients.
  std::string client_ca;
  bool empty() const { return cert.empty() && key.empty() && client_ca.empty(); }
};

// InvalidArgument, naming flag and file, for what cannot be used: one without the other, an
// unreadable or encrypted file, a key that is not the certificate's, an expired certificate.
absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadTls(const TlsFiles& files);

// Any thread.
class TlsContext {
 public:
  // Watches the files: a new pair that is broken is reported, and the old one stays. Connections
  // keep what they began with. `metrics` outlives it.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Start(
      TlsFiles files, Metrics& metrics, std::chrono::milliseconds interval = kFileWatchInterval);

  std::shared_ptr<SSL_CTX> current() const;

 private:
  TlsContext(TlsFiles files, Metrics& metrics);
  absl::Status Load();
  void Reload();

  const TlsFiles files_;
  prometheus::Counter& reloads_;
  prometheus::Counter& failed_reloads_;
  prometheus::Gauge& expires_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> current_;      // under mutex_
  std::unique_ptr<FileWatcher> watcher_;  // last: it calls Reload
};

}  // namespace weft::http
