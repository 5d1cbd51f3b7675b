// Which distributed trace a piece of work is of: W3C Trace Context, level 1
// (https://www.w3.org/TR/trace-context-1/), as clients send it in the header or gRPC
// metadata `traceparent` and as the tiers hand it on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

struct SpanContext {
  uint64_t trace_high = 0;
  uint64_t trace_low = 0;
  uint64_t span = 0;     // the one that what follows is a part of
  bool sampled = false;  // whoever began the trace wants its spans

  // False: of no trace. A trace's and a span's id are never 0.
  bool valid() const { return (trace_high | trace_low) != 0 && span != 0; }

  friend bool operator==(const SpanContext&, const SpanContext&) = default;
};

// Not valid() for what is no traceparent: it is then as if there were none. Of a version
// to come it reads what it knows.
SpanContext ParseTraceparent(std::string_view text);

// Empty for one that is not valid().
std::string FormatTraceparent(const SpanContext& context);

// 32 and 16 lower-case hex digits.
std::string TraceIdHex(const SpanContext& context);
std::string SpanIdHex(uint64_t span);

}  // namespace weft
