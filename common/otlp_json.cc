#include "common/otlp_json.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <type_traits>

#include "common/version.h"

namespace weft {
namespace {

namespace json = boost::json;

// 64-bit numbers are strings, as in all of protobuf's JSON.
json::object ValueJson(const Span::Value& value) {
  return std::visit(
      [](const auto& v) -> json::object {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, int64_t>) return {{"intValue", std::to_string(v)}};
        if constexpr (std::is_same_v<T, double>) return {{"doubleValue", v}};
        if constexpr (std::is_same_v<T, std::string>) return {{"stringValue", v}};
      },
      value);
}

json::object Attribute(std::string_view key, const Span::Value& value) {
  return {{"key", key}, {"value", ValueJson(value)}};
}

json::object SpanJson(const Span& span) {
  json::object out{{"traceId", TraceIdHex(span.context)},
                   {"spanId", SpanIdHex(span.context.span)},
                   {"name", span.name},
                   {"kind", static_cast<int>(span.kind)},
                   {"startTimeUnixNano", std::to_string(span.begin_ns)},
                   {"endTimeUnixNano", std::to_string(span.end_ns)}};
  if (span.parent != 0) out["parentSpanId"] = SpanIdHex(span.parent);
  json::array attributes;
  for (const auto& [key, value] : span.attributes) attributes.push_back(Attribute(key, value));
  out["attributes"] = std::move(attributes);
  constexpr int kError = 2;
  if (!span.error.empty()) out["status"] = {{"code", kError}, {"message", span.error}};
  return out;
}

}  // namespace

std::string OtlpJson(const OtlpResource& resource, std::span<const Span> spans) {
  json::array each;
  for (const Span& span : spans) each.push_back(SpanJson(span));
  json::object scope_spans{
      {"scope", {{"name", "weft"}, {"version", kVersion}}},
      {"spans", std::move(each)},
  };
  json::array attributes{Attribute("service.name", resource.service),
                         Attribute("service.version", std::string(kVersion)),
                         Attribute("service.instance.id", resource.instance)};
  json::object resource_spans{
      {"resource", json::object{{"attributes", std::move(attributes)}}},
      {"scopeSpans", json::array{std::move(scope_spans)}},
  };
  return json::serialize(json::object{{"resourceSpans", json::array{std::move(resource_spans)}}});
}

}  // namespace weft
