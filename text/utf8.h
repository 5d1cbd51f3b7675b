// Bytes to UTF-8, where they may not be: each longest run that begins a character
// and cannot finish it becomes one U+FFFD (Unicode 15, section 3.9, as in Hugging
// Face's decode).
#pragma once

#include <string>
#include <string_view>

namespace weft::text {

// For bytes that come in pieces, cut anywhere.
class Utf8Repair {
 public:
  // Appends to `out` what `bytes` complete; an unfinished character is kept.
  void Push(std::string_view bytes, std::string& out);

  // No more will come: an unfinished character comes out as U+FFFD.
  void Finish(std::string& out);

 private:
  std::string pending_;  // the first bytes of an unfinished character, at most 3
};

std::string ToUtf8(std::string_view bytes);

}  // namespace weft::text
