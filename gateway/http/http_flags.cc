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
}

}  // namespace weft::http
