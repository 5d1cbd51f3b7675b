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

prometheus::Labels Label(const std::string& model) { return {{"model", model}}; }

prometheus::Counter& Ended(Metrics& metrics, const std::string& model, const char* outcome) {
  return metrics.Counter("weft_gateway_requests_ended_total", "Accepted requests by how they ended",
                         {{"model", model}, {"outcome", outcome}});
}

prometheus::Counter& RejectedBecause(Metrics& metrics, const std::string& model,
                                     const char* reason) {
  return metrics.Counter("weft_gateway_rejected_total", "Requests refused before they ran",
                         {{"model", model}, {"reason", reason}});
}

}  // namespace

void CountRejected(Metrics& metrics, const std::string& model, const absl::Status& status) {
  RejectedBecause(metrics, model, Reason(status.code())).Increment();
}

GatewayMetrics::GatewayMetrics(Metrics& metrics, const std::string& model)
    : time_to_first_token(metrics.Histogram("weft_gateway_time_to_first_token_seconds",
                                            "From a request's arrival to its first token",
                                            kTtftBuckets, Label(model))),
      inter_token_latency(metrics.Histogram("weft_gateway_inter_token_latency_seconds",
                                            "Between the tokens of a choice", kStepBuckets,
                                            Label(model))),
      in_flight(metrics.Gauge("weft_gateway_requests_in_flight",
                              "Requests accepted and not yet ended", Label(model))),
      client_disconnects(metrics.Counter("weft_gateway_client_disconnects_total",
                                         "Requests given up by their clients before the end",
                                         Label(model))),
      accepted(metrics.Counter("weft_gateway_requests_accepted_total", "Requests accepted",
                               Label(model))),
      completed(Ended(metrics, model, "completed")),
      failed(Ended(metrics, model, "failed")),
      cancelled(Ended(metrics, model, "cancelled")),
      refused(Ended(metrics, model, "rejected")),
      metrics_(metrics),
      model_(model) {
  // A counter that appears with its first event has no increase that a rule could see.
  for (const char* reason : {"invalid", "quota", "unavailable", "error"}) {
    RejectedBecause(metrics, model, reason);
  }
}

}  // namespace weft::gateway
