// Finds the first of a request's stop strings in text that arrives in pieces,
// wherever the pieces end. Positions count the bytes of all text so far.
//
// "First" is the match that ends first; of several that end together, the
// longest. So the result does not depend on how the text was cut.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::gateway {

class StopMatcher {
 public:
  explicit StopMatcher(const std::vector<std::string>& stops);

  struct Match {
    size_t begin = 0;
    size_t end = 0;
  };

  // After a match nothing more may be scanned.
  std::optional<Match> Scan(std::string_view text);

  // Text in which no stop string counts (min_tokens): none matches it, and none
  // begins in it.
  void Skip(std::string_view text);

  // The text before this position can no longer be part of a match.
  size_t safe_end() const;

 private:
  struct Pattern {
    std::string text;
    // Knuth-Morris-Pratt: borders[i] is the length of the longest proper prefix of
    // text[0..i] that is also its suffix.
    std::vector<size_t> borders;
    size_t matched = 0;  // the longest prefix that the text so far ends with
  };

  std::vector<Pattern> patterns_;
  size_t scanned_ = 0;
};

}  // namespace weft::gateway
