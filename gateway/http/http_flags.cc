#include "common/flags.h"
#include "gateway/http/server.h"

namespace weft::http {

void AddHttpFlags(Flags& flags, HttpOptions& options) {
  flags.Add("--host", options.host, "Address or name to listen on");
  flags.Add("--port", options.port, "HTTP port; 0 takes a free one", 0, 65535);
  flags.Add("--http-threads", options.threads, "Network threads", 1, 64);
  flags.Add<size_t>("--max-body-bytes", options.limits.max_body,
                    "Larger request bodies are refused (413)", 1024, 1 << 30);
  flags.Add("--stall-timeout", options.stall_timeout_s,
            "Seconds after which a client that takes nothing of its answer is cut off", 0.1,
            86400.0);
  flags.Add("--tls-cert", options.tls.cert,
            "PEM file of the certificate, and behind it its chain: HTTP and gRPC then speak TLS "
            "(1.2 and later) only. Read again when it changes");
  flags.Add("--tls-key", options.tls.key, "PEM file of the certificate's key, without a password");
  flags.Add("--tls-client-ca", options.tls.ca,
            "PEM file of authorities: only clients with a certificate of theirs are let in. Read "
            "again when it changes");
}

}  // namespace weft::http
