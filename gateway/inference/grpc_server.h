// The public weft.v1.InferenceService, one more codec on Service, on a port of its
// own: with reflection, and grpc.health.v1 for the server as a whole and for the
// service by name.
//
// A call's deadline is its request's timeout; a call that its client gives up is
// cancelled to the last block.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/tls_files.h"
#include "common/tracer.h"
#include "gateway/auth/access.h"
#include "gateway/inference/service.h"

namespace weft::gateway {

struct GrpcOptions {
  std::string host = "0.0.0.0";
  int port = 8001;  // 0 takes a free one
  // The metadata that names a call's tenant, in lower case; empty: all are one tenant.
  std::string tenant_header;
  // Asks every call for a key, in the metadata authorization ("Bearer KEY") or x-api-key, but
  // for health checks. Outlives the server; null: nobody is asked.
  const auth::Access* access = nullptr;
  // Gets a span of each call that generates; outlives the server.
  Tracer* tracer = Tracer::Off();
  // Not empty: TLS only. gRPC itself watches the files; while they are no pair, new connections
  // fail.
  TlsFiles tls;
};

class GrpcServer {
 public:
  // Unavailable when the port is taken. `service` outlives the server.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcOptions& options,
                                                           Service& service);
  ~GrpcServer();  // cuts what is left

  int port() const;

  // What health checks are told; not serving until then.
  void SetServing(bool serving);

  // Takes no new calls, waits for those that run, and cuts them at the timeout.
  void Shutdown(std::chrono::milliseconds timeout);

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace weft::gateway
