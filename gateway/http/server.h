// HTTP/1.1 for the gateway: keep-alive, strict framing, hard limits, answers that
// stream. A few network threads, each with its own connections; what a handler
// does there must be short.
//
//   auto server = HttpServer::Start({.port = 8000}, metrics, handler);
//   ... (*server)->Drain(); ... destroy
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/metrics.h"
#include "common/tracer.h"
#include "gateway/http/exchange.h"
#include "gateway/http/message.h"
#include "gateway/http/tls_context.h"

namespace weft {
class Flags;
}

namespace weft::http {

struct HttpOptions {
  std::string host = "0.0.0.0";
  int port = 8000;  // 0 takes a free one
  int threads = 2;
  HttpLimits limits;
  TlsFiles tls;  // empty: plain HTTP
  // A reader that takes nothing for so long is cut off.
  double stall_timeout_s = 30;
  // Lines that every answer carries ("Name: value\r\n"...).
  std::string common_headers;
  // Gets a span of each request; outlives the server.
  Tracer* tracer = Tracer::Off();
  // The body of a refusal; by default the message as plain text.
  std::function<HttpResponse(const HttpRefusal&)> render_refusal;
};

// --host, --port, --http-threads, --max-body-bytes, --stall-timeout, --tls-*.
void AddHttpFlags(Flags& flags, HttpOptions& options);

class HttpServer {
 public:
  // Unavailable when the port is taken, InvalidArgument when the host is no address or
  // `tls` cannot be used. `metrics` and what the handler refers to outlive the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpOptions options, Metrics& metrics,
                                                           Handler handler);
  // Cuts what is left.
  ~HttpServer();

  int port() const;

  // Takes no new connections, closes idle ones, ends the others after their
  // answer. Returns at once.
  void Drain();
  // Waits until no connection is left, at most so long. True if none is.
  bool WaitIdle(absl::Duration timeout);
  int num_connections() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::http
