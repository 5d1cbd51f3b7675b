// weft_gateway_http_*: requests by route and code, how long they took, and how long
// answers waited for clients that did not take them. Routes
// are templates and codes HTTP's, so that no client can grow the list.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "common/metrics.h"

namespace weft::http {

// The route of what never reached one: refused heads, unknown paths.
inline constexpr std::string_view kOtherRoute = "other";

// Any thread.
class HttpMetrics {
 public:
  explicit HttpMetrics(Metrics& metrics);

  // 499: the client left before its answer was complete, or stopped reading it.
  void Record(std::string_view route, int code, std::chrono::nanoseconds duration);

  prometheus::Counter& write_wait_seconds;  // counted when the wait is over
  prometheus::Counter& slow_clients_cut;
  prometheus::Counter& handshakes_failed;

 private:
  Metrics& metrics_;
  std::mutex mutex_;
  std::map<std::pair<std::string_view, int>, prometheus::Counter*> requests_;
  std::map<std::string_view, prometheus::Histogram*> durations_;
};

}  // namespace weft::http
