// Every process's own HTTP port for operators: plain text, loopback or pod
// network, apart from what clients reach.
//
//   GET  /metrics   Prometheus text
//   GET  /healthz   200 while the process runs (liveness)
//   GET  /readyz    200 ready, 503 with the cause otherwise (readiness)
//   POST /drain     begins the same drain as SIGTERM; 202. Also GET: Kubernetes' preStop has
//                   no other
//   GET  /debug/state  what the process is at, as text for people; where it has such a page
//
// One thread of its own, so that a busy process still answers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/metrics.h"

namespace weft {

struct AdminHandlers {
  std::function<absl::Status()> ready;  // OK, or why not
  std::function<void()> drain;
  std::function<std::string()> debug_state = nullptr;  // null: there is no such page
};

class AdminServer {
 public:
  // Listens on `host`:`port`; port 0 takes a free one. Unavailable when the port
  // is taken. `metrics` and the handlers must outlive the server; handlers run on
  // its thread and must not block for long.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& host, int port,
                                                            const Metrics& metrics,
                                                            AdminHandlers handlers);
  ~AdminServer();  // stops listening and joins

  int port() const;

 private:
  struct Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
