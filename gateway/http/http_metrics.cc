#include "gateway/http/http_metrics.h"

#include <string>

namespace weft::http {

HttpMetrics::HttpMetrics(Metrics& metrics)
    : write_wait_seconds(
          metrics.Counter("weft_gateway_http_write_wait_seconds_total",
                          "Seconds that answers waited for room in their clients' sockets")),
      slow_clients_cut(metrics.Counter("weft_gateway_http_slow_clients_cut_total",
                                       "Connections cut off by --stall-timeout")),
      handshakes_failed(
          metrics.Counter("weft_gateway_tls_handshakes_failed_total",
                          "HTTP connections that did not come to speak TLS, or not in time")),
      metrics_(metrics) {}

void HttpMetrics::Record(std::string_view route, int code, std::chrono::nanoseconds duration) {
  std::lock_guard lock(mutex_);
  prometheus::Counter*& requests = requests_[{route, code}];
  if (!requests) {
    requests = &metrics_.Counter("weft_gateway_http_requests_total",
                                 "HTTP requests by route and status; 499: the client left",
                                 {{"route", std::string(route)}, {"code", std::to_string(code)}});
  }
  prometheus::Histogram*& durations = durations_[route];
  if (!durations) {
    durations = &metrics_.Histogram("weft_gateway_http_request_duration_seconds",
                                    "From a request's first byte to its answer's last",
                                    kDurationBuckets, {{"route", std::string(route)}});
  }
  requests->Increment();
  durations->Observe(std::chrono::duration<double>(duration).count());
}

}  // namespace weft::http
