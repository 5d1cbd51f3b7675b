// Spans as the body of an OTLP export, JSON-encoded:
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
#pragma once

#include <span>
#include <string>

#include "common/tracer.h"

namespace weft {

// Who made the spans.
struct OtlpResource {
  std::string service;   // service.name
  std::string instance;  // service.instance.id
};

std::string OtlpJson(const OtlpResource& resource, std::span<const Span> spans);

}  // namespace weft
