#include "gateway/inference/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"

namespace weft::gateway {
namespace {

using Match = std::optional<std::pair<size_t, size_t>>;

Match Found(const std::optional<StopMatcher::Match>& match) {
  if (!match) return std::nullopt;
  return std::pair(match->begin, match->end);
}

// The definition, the slow way.
Match FirstMatch(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return std::pair(end - longest, end);
  }
  return std::nullopt;
}

TEST(StopMatcher, FindsAStopAcrossPieces) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(matcher.Scan("a st"), std::nullopt);
  EXPECT_EQ(matcher.safe_end(), 2u);
  EXPECT_EQ(matcher.Scan("o"), std::nullopt);
  EXPECT_EQ(matcher.safe_end(), 2u);
  EXPECT_EQ(Found(matcher.Scan("p!")), Match({2, 6}));
}

TEST(StopMatcher, HoldsBackNoMoreThanMayBecomeAStop) {
  StopMatcher matcher({"stop"});
  matcher.Scan("sto");
  EXPECT_EQ(matcher.safe_end(), 0u);
  matcher.Scan("n");
  EXPECT_EQ(matcher.safe_end(), 4u);
}

TEST(StopMatcher, FallsBackToAShorterPrefixOfItself) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(Found(matcher.Scan("aaab")), Match({1, 4}));
}

TEST(StopMatcher, OfStopsThatEndTogetherTheLongestWins) {
  StopMatcher matcher({"b", "ab"});
  EXPECT_EQ(Found(matcher.Scan("xab")), Match({1, 3}));
}

TEST(StopMatcher, SkippedTextBelongsToNoMatch) {
  StopMatcher matcher({"ab"});
  matcher.Skip("xa");
  EXPECT_EQ(matcher.safe_end(), 2u);
  EXPECT_EQ(Found(matcher.Scan("bab")), Match({3, 5}));
}

TEST(StopMatcher, AgreesWithTheDefinitionHoweverTheTextIsCut) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const auto text_of = [&](size_t length) {
    std::string text;
    while (text.size() < length) text += static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (size_t i = 0; i <= random() % 4; ++i) stops.push_back(text_of(1 + random() % 6));
    const std::string text = text_of(random() % 30);
    StopMatcher matcher(stops);
    std::optional<StopMatcher::Match> match;
    for (size_t at = 0; at < text.size() && !match;) {
      const size_t safe = matcher.safe_end();
      const std::string piece = text.substr(at, 1 + random() % 4);
      match = matcher.Scan(piece);
      at += piece.size();
      // What has been let go is never part of a match.
      if (match) {
        ASSERT_GE(match->begin, safe);
      }
    }
    ASSERT_EQ(Found(match), FirstMatch(stops, text)) << text;
  }
}

}  // namespace
}  // namespace weft::gateway
