// JSON text by hand, appended to a string that is used again and again: what a
// stream writes per token must cost next to nothing.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

namespace weft::openai {

// `text` within quotes. It must be UTF-8 and is copied as it stands but for quotes,
// backslashes and control characters.
void AppendQuoted(std::string& out, std::string_view text);

// The same for bytes of any kind: what is no UTF-8 becomes U+FFFD.
void AppendQuotedBytes(std::string& out, std::string_view bytes);

// For naming in a message what a client sent: in quotes, cut if it is long.
std::string Excerpt(std::string_view bytes);

// Characters (code points) in UTF-8 text.
size_t NumCharacters(std::string_view text);

inline void AppendInt(std::string& out, long long value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// Shortest digits that read back as the same float. JSON has no infinity: OpenAI
// writes -9999 for a token that cannot occur.
void AppendLogprob(std::string& out, float value);

}  // namespace weft::openai
