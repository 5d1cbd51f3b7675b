// The scheduler process in one object: both gRPC services on one port, and the
// loop behind them.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/rpc/loop.h"

namespace weft::scheduler {

struct ServerOptions {
  std::string address = "127.0.0.1:0";
  LoopOptions loop;
  // What may wait for a gateway that does not read: a minute of a busy group.
  size_t max_outbox_bytes = 16 << 20;
};

class Server {
 public:
  // Listens at once. Unavailable when the address is taken. `metrics` must
  // outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       SchedulerMetrics& metrics);
  // Ends all streams at once.
  ~Server();

  int port() const;
  absl::Status Ready() const;

  // Refuses new sequences, waits for those accepted to end, tells workers and
  // gateways to leave.
  void Drain();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::scheduler
