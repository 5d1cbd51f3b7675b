#include "gateway/http/http_metrics.h"

#include <string>

namespace weft::http {

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
