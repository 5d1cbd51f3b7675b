// Distributed traces: spans of what this process did for a request, sent to an
// OpenTelemetry collector.
//
// A request that comes with a `traceparent` is part of that trace and recorded if its
// sender records it; of the others a given ratio. Spans wait in a bounded buffer, and a
// thread of the tracer's sends them in batches as OTLP over HTTP, JSON-encoded
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp): a collector that is slow or away
// costs spans, never a request.
//
// Without an endpoint nothing is recorded or begun, and what clients sent is handed on.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/metrics.h"
#include "common/trace_context.h"

namespace weft {

class Flags;

struct TraceOptions {
  std::string endpoint;  // http://host:4318; empty: no spans
  double ratio = 0;      // of requests without a traceparent
};

// --otlp-endpoint, and where traces may begin --trace-ratio.
void AddTraceFlags(Flags& flags, TraceOptions& options, bool begins_traces);

struct Span {
  // OTLP's numbers.
  enum class Kind { kInternal = 1, kServer = 2 };
  using Value = std::variant<int64_t, double, std::string>;

  std::string name;
  Kind kind = Kind::kInternal;
  SpanContext context;   // its trace, and its own id
  uint64_t parent = 0;   // 0: the trace begins here
  int64_t begin_ns = 0;  // since 1970
  int64_t end_ns = 0;
  std::vector<std::pair<std::string, Value>> attributes;
  std::string error;  // not empty: what went wrong
};

// Thread safety: any thread, at once.
class Tracer {
 public:
  // `service` is the process's name, weft-gateway. InvalidArgument: the endpoint is no URL.
  // `metrics` outlives the tracer.
  static absl::StatusOr<std::unique_ptr<Tracer>> Start(const TraceOptions& options,
                                                       const std::string& service,
                                                       Metrics& metrics);
  // One without an endpoint, for who is given none.
  static Tracer* Off();
  // Sends what it still has, for a few seconds at most.
  ~Tracer();

  // A span of its own for a request that came with `traceparent` (empty: with none) or for a
  // part of `parent`. Where that is not recorded `context` says what to hand on, which may be
  // of no trace.
  struct Begun {
    SpanContext context;
    uint64_t parent = 0;
  };
  Begun Begin(std::string_view traceparent);
  Begun Begin(const SpanContext& parent);

  // Whether a span of it is worth making.
  bool records(const SpanContext& context) const { return impl_ != nullptr && context.sampled; }
  void Record(Span span);

 private:
  struct Impl;
  Tracer(double ratio, std::unique_ptr<Impl> impl);

  const double ratio_;
  const std::unique_ptr<Impl> impl_;  // null: without an endpoint
};

// Now, and a time of std::chrono::steady_clock's, as Span counts.
int64_t UnixNanos();
int64_t UnixNanosAgo(std::chrono::nanoseconds ago);

}  // namespace weft
