#include "text/utf8.h"

namespace weft::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// How many bytes the character that starts with `lead` has; 0 if none does.
int CharacterSize(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// Whether `byte` can follow `begun`. The second byte's range depends on the
// first: it keeps out overlong forms, surrogates and what lies past U+10FFFF.
bool Continues(std::string_view begun, unsigned char byte) {
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (begun.size() == 1) {
    switch (static_cast<unsigned char>(begun[0])) {
      case 0xE0:
        low = 0xA0;
        break;
      case 0xED:
        high = 0x9F;
        break;
      case 0xF0:
        low = 0x90;
        break;
      case 0xF4:
        high = 0x8F;
        break;
      default:
        break;
    }
  }
  return low <= byte && byte <= high;
}

}  // namespace

void Utf8Repair::Push(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!pending_.empty() && !Continues(pending_, byte)) Finish(out);
    const int size = CharacterSize(pending_.empty() ? byte : pending_[0]);
    if (size == 0) {
      out += kReplacement;
    } else if (size == 1) {
      out += c;
    } else {
      pending_ += c;
      if (pending_.size() == static_cast<size_t>(size)) {
        out += pending_;
        pending_.clear();
      }
    }
  }
}

void Utf8Repair::Finish(std::string& out) {
  if (pending_.empty()) return;
  out += kReplacement;
  pending_.clear();
}

std::string ToUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  Utf8Repair repair;
  repair.Push(bytes, text);
  repair.Finish(text);
  return text;
}

}  // namespace weft::text
