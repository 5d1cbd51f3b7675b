#include "gateway/openai/json_writer.h"

#include <array>
#include <cmath>
#include <cstdint>

namespace weft::openai {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr std::array<bool, 256> MakeEscaped() {
  std::array<bool, 256> escaped{};
  for (int c = 0; c < 0x20; ++c) escaped[static_cast<size_t>(c)] = true;
  escaped['"'] = escaped['\\'] = true;
  return escaped;
}
constexpr std::array<bool, 256> kEscaped = MakeEscaped();

void AppendEscape(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default: {
      constexpr char kHex[] = "0123456789abcdef";
      const char text[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      out.append(text, sizeof text);
    }
  }
}

// The length of the character that begins at `text`, 0 if none does; then `bad` is
// how many bytes one U+FFFD stands for (Unicode 3.9, table 3-7).
size_t CharacterLength(std::string_view text, size_t& bad) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  bad = 1;
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;  // of the second byte
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) {
      bad = i;
      return 0;
    }
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

}  // namespace

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!kEscaped[c]) continue;
    out.append(text, begin, i - begin);
    AppendEscape(out, c);
    begin = i + 1;
  }
  out.append(text, begin, text.size() - begin);
  out += '"';
}

std::string ToUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    size_t bad = 0;
    const size_t length = CharacterLength(bytes, bad);
    text += length > 0 ? bytes.substr(0, length) : kReplacement;
    bytes.remove_prefix(length > 0 ? length : bad);
  }
  return text;
}

void AppendQuotedBytes(std::string& out, std::string_view bytes) {
  AppendQuoted(out, ToUtf8(bytes));
}

std::string Excerpt(std::string_view bytes) {
  constexpr size_t kMaxBytes = 80;
  std::string text = "\"";
  text += ToUtf8(bytes.substr(0, kMaxBytes));
  text += bytes.size() > kMaxBytes ? "...\"" : "\"";
  return text;
}

size_t NumCharacters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

void AppendLogprob(std::string& out, float value) {
  if (!std::isfinite(value)) value = -9999;
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace weft::openai
