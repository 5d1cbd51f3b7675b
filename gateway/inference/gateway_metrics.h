// What the gateway counts behind its codecs; HTTP's own numbers are in
// gateway/http.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/metrics.h"

namespace weft::gateway {

// Counts a refused request under a bounded reason. `model` is a served one, or empty:
// the request named none that is.
void CountRejected(Metrics& metrics, const std::string& model, const absl::Status& status);

// Of one model; `model`, the first of its names, is a label of all.
class GatewayMetrics {
 public:
  GatewayMetrics(Metrics& metrics, const std::string& model);

  void Rejected(const absl::Status& status) { CountRejected(metrics_, model_, status); }

  prometheus::Histogram& time_to_first_token;
  prometheus::Histogram& inter_token_latency;
  prometheus::Gauge& in_flight;
  prometheus::Counter& client_disconnects;
  // accepted = completed + failed + cancelled + refused + in flight.
  prometheus::Counter& accepted;
  prometheus::Counter& completed;
  prometheus::Counter& failed;
  prometheus::Counter& cancelled;
  prometheus::Counter& refused;  // by the scheduler; Rejected has its reason

 private:
  Metrics& metrics_;
  const std::string model_;
};

}  // namespace weft::gateway
