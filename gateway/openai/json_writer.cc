#include "gateway/openai/json_writer.h"

#include <array>
#include <cmath>
#include <cstdint>

#include "text/utf8.h"

namespace weft::openai {
namespace {

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

void AppendQuotedBytes(std::string& out, std::string_view bytes) {
  AppendQuoted(out, text::ToUtf8(bytes));
}

std::string Excerpt(std::string_view bytes) {
  constexpr size_t kMaxBytes = 80;
  std::string text = "\"";
  text += text::ToUtf8(bytes.substr(0, kMaxBytes));
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
