#include "cli/eval/boxed.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"

namespace weft::eval {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

std::string_view Stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

// What is boxed in `text`, which begins behind the command's name.
std::optional<std::string> UnbracedBox(std::string_view text) {
  if (text.empty() || !(absl::ascii_isspace(text[0]) || absl::ascii_isdigit(text[0]))) return {};
  const std::string_view content = Stripped(text.substr(0, text.find_first_of("$\n")));
  if (content.empty()) return {};
  return std::string(content);
}

bool IsDigit(std::string_view text, size_t at) {
  return at < text.size() && absl::ascii_isdigit(text[at]);
}

// Up to the end of the sentence: a period between digits is a decimal point.
std::string_view Sentence(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' || (text[i] == '.' && !IsDigit(text, i + 1))) return text.substr(0, i);
  }
  return text;
}

std::string_view WithoutMarks(std::string_view text) {
  constexpr std::string_view kMarks = " \t\r\n*:";
  const size_t begin = text.find_first_not_of(kMarks);
  if (begin == std::string_view::npos) return {};
  text = text.substr(begin, text.find_last_not_of(kMarks) + 1 - begin);
  if (text.size() > 2 && text.front() == '$' && text.back() == '$') {
    text = text.substr(1, text.size() - 2);
  }
  return Stripped(text);
}

std::string_view Stated(std::string_view text) {
  // GSM8K's own mark.
  if (const size_t at = text.rfind("####"); at != std::string_view::npos) {
    // Elsewhere it is a heading.
    const std::string_view rest = Stripped(text.substr(at + 4));
    const bool is_number = IsDigit(rest, rest.find_first_not_of("-$"));
    if (is_number) return rest.substr(0, rest.find('\n'));
  }
  for (const std::string_view phrase : {"nswer is", "nswer:"}) {
    if (const size_t at = text.rfind(phrase); at != std::string_view::npos) {
      return WithoutMarks(Sentence(text.substr(at + phrase.size())));
    }
  }
  return {};
}

// The last of -1,234.5; a hyphen between digits is no sign.
std::string LastNumber(std::string_view text) {
  size_t end = text.find_last_of("0123456789");
  if (end == std::string_view::npos) return {};
  size_t begin = end++;
  const auto belongs = [&](size_t at) {
    return IsDigit(text, at) || ((text[at] == '.' || text[at] == ',') && IsDigit(text, at + 1));
  };
  while (begin > 0 && belongs(begin - 1)) --begin;
  if (begin > 0 && text[begin - 1] == '-' && (begin < 2 || !IsDigit(text, begin - 2))) --begin;
  std::string number(text.substr(begin, end - begin));
  number.erase(std::remove(number.begin(), number.end(), ','), number.end());
  return number;
}

}  // namespace

std::optional<std::string> LastBoxed(std::string_view text) {
  // One pass: what opened when, and whether it was a box.
  constexpr std::string_view kBox = "\\boxed", kFramedBox = "\\fbox";
  struct Open {
    bool is_box;
    size_t begin;
  };
  std::vector<Open> open;
  size_t best_begin = 0;
  std::optional<std::string> best;
  bool is_box = false;  // a box's name has just been read
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with(kBox) || rest.starts_with(kFramedBox)) {
      i += rest.starts_with(kBox) ? kBox.size() : kFramedBox.size();
      const size_t next = text.find_first_not_of(" \t", i);
      is_box = next != std::string_view::npos && text[next] == '{';
      if (is_box) {
        i = next;
      } else if (auto content = UnbracedBox(text.substr(i)); content && i > best_begin) {
        best_begin = i;
        best = std::move(content);
      }
      continue;
    }
    if (text[i] == '\\') {
      i += 2;
      continue;
    }
    if (text[i] == '{') {
      open.push_back({.is_box = is_box, .begin = i + 1});
    } else if (text[i] == '}' && !open.empty()) {
      const Open closed = open.back();
      open.pop_back();
      if (closed.is_box && closed.begin > best_begin) {
        best_begin = closed.begin;
        best = std::string(text.substr(closed.begin, i - closed.begin));
      }
    }
    is_box = false;
    ++i;
  }
  return best;
}

Extracted Extract(std::string_view text) {
  if (auto boxed = LastBoxed(text)) return {Found::kBoxed, *std::move(boxed)};
  if (const std::string_view stated = Stated(text); !stated.empty()) {
    return {Found::kStated, std::string(stated)};
  }
  if (std::string number = LastNumber(text); !number.empty()) {
    return {Found::kLastNumber, std::move(number)};
  }
  return {};
}

const char* Name(Found found) {
  switch (found) {
    case Found::kBoxed:
      return "boxed";
    case Found::kStated:
      return "stated";
    case Found::kLastNumber:
      return "last number";
    case Found::kNowhere:
      break;
  }
  return "none";
}

}  // namespace weft::eval
