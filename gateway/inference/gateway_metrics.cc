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

prometheus::Labels Label(const std::string& model_name) { return {{"model_name", model_name}}; }

prometheus::Counter& Ended(Metrics& metrics, const std::string& model_name, const char* outcome) {
  return metrics.Counter("weft_gateway_requests_ended_total", "Accepted requests by how they ended",
                         {{"model_name", model_name}, {"outcome", outcome}});
}

}  // namespace

void CountRejected(Metrics& metrics, const std::string& model_name, const absl::Status& status) {
  metrics
      .Counter("weft_gateway_rejected_total", "Requests refused before they ran",
               {{"model_name", model_name}, {"reason", Reason(status.code())}})
      .Increment();
}

GatewayMetrics::GatewayMetrics(Metrics& metrics, const std::string& model_name)
    : time_to_first_token(metrics.Histogram("weft_gateway_time_to_first_token_seconds",
                                            "From a request's arrival to its first token",
                                            kTtftBuckets, Label(model_name))),
      inter_token_latency(metrics.Histogram("weft_gateway_inter_token_latency_seconds",
                                            "Between the tokens of a choice", kStepBuckets,
                                            Label(model_name))),
      in_flight(metrics.Gauge("weft_gateway_requests_in_flight",
                              "Requests accepted and not yet ended", Label(model_name))),
      client_disconnects(metrics.Counter("weft_gateway_client_disconnects_total",
                                         "Requests given up by their clients before the end",
                                         Label(model_name))),
      accepted(metrics.Counter("weft_gateway_requests_accepted_total", "Requests accepted",
                               Label(model_name))),
      completed(Ended(metrics, model_name, "completed")),
      failed(Ended(metrics, model_name, "failed")),
      cancelled(Ended(metrics, model_name, "cancelled")),
      metrics_(metrics),
      model_name_(model_name) {}

}  // namespace weft::gateway
