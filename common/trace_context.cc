#include "common/trace_context.h"

namespace weft {
namespace {

// version-trace-parent-flags
constexpr size_t kTraceAt = 3;
constexpr size_t kSpanAt = 36;
constexpr size_t kFlagsAt = 53;
constexpr size_t kLength = 55;

// False unless all of `text` is hex in lower case.
bool ReadHex(std::string_view text, uint64_t& value) {
  value = 0;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && !(c >= 'a' && c <= 'f')) return false;
    value = value << 4 | static_cast<uint64_t>(is_digit ? c - '0' : c - 'a' + 10);
  }
  return true;
}

void AppendHex(uint64_t value, int num_digits, std::string& out) {
  for (int shift = 4 * (num_digits - 1); shift >= 0; shift -= 4) {
    out.push_back("0123456789abcdef"[value >> shift & 15]);
  }
}

}  // namespace

SpanContext ParseTraceparent(std::string_view text) {
  if (text.size() < kLength || text[kTraceAt - 1] != '-' || text[kSpanAt - 1] != '-' ||
      text[kFlagsAt - 1] != '-') {
    return {};
  }
  uint64_t version = 0;
  uint64_t flags = 0;
  SpanContext context;
  if (!ReadHex(text.substr(0, 2), version) ||
      !ReadHex(text.substr(kTraceAt, 16), context.trace_high) ||
      !ReadHex(text.substr(kTraceAt + 16, 16), context.trace_low) ||
      !ReadHex(text.substr(kSpanAt, 16), context.span) ||
      !ReadHex(text.substr(kFlagsAt, 2), flags)) {
    return {};
  }
  if (version == 0xff) return {};
  if (text.size() > kLength && (version == 0 || text[kLength] != '-')) return {};
  context.sampled = (flags & 1) != 0;
  return context.valid() ? context : SpanContext();
}

std::string FormatTraceparent(const SpanContext& context) {
  if (!context.valid()) return {};
  std::string text = "00-";
  AppendHex(context.trace_high, 16, text);
  AppendHex(context.trace_low, 16, text);
  text += '-';
  AppendHex(context.span, 16, text);
  text += context.sampled ? "-01" : "-00";
  return text;
}

std::string TraceIdHex(const SpanContext& context) {
  std::string text;
  AppendHex(context.trace_high, 16, text);
  AppendHex(context.trace_low, 16, text);
  return text;
}

std::string SpanIdHex(uint64_t span) {
  std::string text;
  AppendHex(span, 16, text);
  return text;
}

}  // namespace weft
