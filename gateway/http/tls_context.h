// The certificate that the HTTPS listener shows, read again when its files change.
// ALPN: http/1.1.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_watcher.h"
#include "common/metrics.h"
#include "common/tls_files.h"

namespace weft::http {

// As LoadTls, and ALPN; the flags are --tls-cert, --tls-key and --tls-client-ca.
absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadHttpsContext(const TlsFiles& files);

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
