#include "gateway/inference/gateway_metrics.h"

namespace weft::gateway {
namespace {

const char* Reason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return "invalid";
    case absl::StatusCode::kNotFound:
      return "unknown_model";
    case absl::StatusCode::kResourceExhausted:
      return "quota";
    case absl::StatusCode::kUnavailable:
      return "unavailable";
    default:
      return "error";
  }
}

prometheus::Counter& Ended(Metrics& metrics, const char* outcome) {
  return metrics.Counter("weft_gateway_requests_ended_total", "Accepted requests by how they ended",
                         {{"outcome", outcome}});
}

}  // namespace

GatewayMetrics::GatewayMetrics(Metrics& metrics)
    : time_to_first_token(metrics.Histogram("weft_gateway_time_to_first_token_seconds",
                                            "From a request's arrival to its first token",
                                            kTtftBuckets)),
      inter_token_latency(metrics.Histogram("weft_gateway_inter_token_latency_seconds",
                                            "Between the tokens of a choice", kStepBuckets)),
      in_flight(
          metrics.Gauge("weft_gateway_requests_in_flight", "Requests accepted and not yet ended")),
      client_disconnects(metrics.Counter("weft_gateway_client_disconnects_total",
                                         "Requests given up by their clients before the end")),
      draining(metrics.Gauge("weft_gateway_draining", "1 while no new requests are taken")),
      accepted(metrics.Counter("weft_gateway_requests_accepted_total", "Requests accepted")),
      completed(Ended(metrics, "completed")),
      failed(Ended(metrics, "failed")),
      cancelled(Ended(metrics, "cancelled")),
      metrics_(metrics) {}

void GatewayMetrics::Rejected(const absl::Status& status) {
  metrics_
      .Counter("weft_gateway_rejected_total", "Requests refused before they ran",
               {{"reason", Reason(status.code())}})
      .Increment();
}

}  // namespace weft::gateway
