#include "gateway/inference/stop_matcher.h"

#include <algorithm>

#include "common/check.h"

namespace weft::gateway {
namespace {

std::vector<size_t> Borders(std::string_view text) {
  std::vector<size_t> borders(text.size(), 0);
  for (size_t i = 1, length = 0; i < text.size(); ++i) {
    while (length > 0 && text[i] != text[length]) length = borders[length - 1];
    if (text[i] == text[length]) ++length;
    borders[i] = length;
  }
  return borders;
}

}  // namespace

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    WEFT_CHECK(!stop.empty());
    patterns_.push_back({.text = stop, .borders = Borders(stop)});
  }
}

std::optional<StopMatcher::Match> StopMatcher::Scan(std::string_view text) {
  if (patterns_.empty()) {
    scanned_ += text.size();
    return std::nullopt;
  }
  for (char c : text) {
    ++scanned_;
    size_t longest = 0;
    for (Pattern& p : patterns_) {
      while (p.matched > 0 && p.text[p.matched] != c) p.matched = p.borders[p.matched - 1];
      if (p.text[p.matched] == c) ++p.matched;
      if (p.matched == p.text.size()) longest = std::max(longest, p.matched);
    }
    if (longest > 0) return Match{.begin = scanned_ - longest, .end = scanned_};
  }
  return std::nullopt;
}

void StopMatcher::Skip(std::string_view text) {
  scanned_ += text.size();
  for (Pattern& p : patterns_) p.matched = 0;
}

size_t StopMatcher::safe_end() const {
  size_t held = 0;
  for (const Pattern& p : patterns_) held = std::max(held, p.matched);
  return scanned_ - held;
}

}  // namespace weft::gateway
