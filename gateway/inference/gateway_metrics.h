// What the gateway counts behind its codecs; HTTP's own numbers are in
// gateway/http.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/metrics.h"

namespace weft::gateway {

class GatewayMetrics {
 public:
  explicit GatewayMetrics(Metrics& metrics);

  // Counts a refused request under a bounded reason.
  void Rejected(const absl::Status& status);

  prometheus::Histogram& time_to_first_token;
  prometheus::Histogram& inter_token_latency;
  prometheus::Gauge& in_flight;
  prometheus::Counter& client_disconnects;
  prometheus::Gauge& draining;
  // accepted = completed + failed + cancelled + in flight.
  prometheus::Counter& accepted;
  prometheus::Counter& completed;
  prometheus::Counter& failed;
  prometheus::Counter& cancelled;

 private:
  Metrics& metrics_;
};

}  // namespace weft::gateway
