// The scheduler process in one object: both gRPC services on one port, and, once it
// leads, the loop behind them. Until then it stands by: whoever dials it is told who leads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/peer_tls.h"
#include "scheduler/rpc/loop.h"

namespace weft::scheduler {

struct ServerOptions {
  std::string address = "127.0.0.1:0";
  PeerTls tls;
  // What a gateway's and a worker's certificate must be named (PeerHasName); empty: anything.
  std::string gateway_name;
  std::string worker_name;
  GroupOptions loop;  // its epoch is Lead's
  // What may wait for a gateway that does not read: a minute of a busy group.
  size_t max_outbox_bytes = 16 << 20;
};

class Server {
 public:
  // Listens at once, and stands by. `leader` says where the leader is dialled, from any
  // thread; empty: nobody knows. Unavailable when the address is taken. `metrics` must
  // outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       SchedulerMetrics& metrics,
                                                       std::function<std::string()> leader);
  // Ends all streams at once.
  ~Server();

  // From here on it leads, in this term. Once.
  void Lead(uint64_t epoch);

  bool leads() const;
  int port() const;
  // OK while it stands by, or leads with a worker attached and nothing that drains.
  absl::Status Ready() const;
  // GET /debug/state: a page for people.
  std::string DebugState() const;

  // Gives all that is open over to who leads now, and stands by again: whoever dials it is
  // told so. Returns once peers have been told.
  void HandOver(const std::string& leader);
  // Refuses new sequences, and lets those accepted end. Returns at once.
  void BeginDrain();
  // Whether they have. Behind BeginDrain.
  bool IsDrained() const;
  // Connected.
  int num_gateways() const;
  // Waits until they have ended, tells workers and gateways to leave, and stops listening.
  void Drain();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::scheduler
