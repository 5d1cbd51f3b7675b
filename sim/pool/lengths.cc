#include "sim/pool/lengths.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::sim {
namespace {

// Beyond it half of all lengths would be cut.
constexpr double kMaxSigma = 10;

bool ParseLength(const std::string& text, int& length) {
  return absl::SimpleAtoi(text, &length) && length >= 1 && length <= kMaxLength;
}

using Pair = std::pair<std::string, std::string>;
Pair SplitInTwo(const std::string& text, char separator) {
  return absl::StrSplit(text, absl::MaxSplits(separator, 1));
}

}  // namespace

// Box and Muller's. 1 - Unit() is in (0, 1].
double DrawNormal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.Unit()));
  return radius * std::cos(2 * std::numbers::pi * random.Unit());
}

LengthDistribution LengthDistribution::Fixed(int num_tokens) {
  return {Kind::kUniform, num_tokens, num_tokens, 0};
}

absl::StatusOr<LengthDistribution> LengthDistribution::Parse(const std::string& text) {
  const Pair form = SplitInTwo(text, ':');
  int low = 0, high = 0;
  double sigma = 0;
  if (form.first == "uniform") {
    const Pair range = SplitInTwo(form.second, '-');
    if (ParseLength(range.first, low) && ParseLength(range.second, high) && low <= high) {
      return LengthDistribution(Kind::kUniform, low, high, 0);
    }
  } else if (form.first == "lognormal") {
    const Pair shape = SplitInTwo(form.second, ',');
    if (ParseLength(shape.first, low) && absl::SimpleAtod(shape.second, &sigma) && sigma >= 0 &&
        sigma <= kMaxSigma) {
      return LengthDistribution(Kind::kLogNormal, low, 0, sigma);
    }
  } else if (ParseLength(text, low)) {
    return Fixed(low);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("it is none of 512, uniform:100-2000 (lowest and highest) and "
                   "lognormal:512,0.8 (median, and sigma from 0 to ",
                   kMaxSigma, "), with tokens from 1 to ", kMaxLength));
}

int LengthDistribution::Draw(Random& random) const {
  if (kind_ == Kind::kUniform) return random.Between(low_, high_);
  const double length = std::round(low_ * std::exp(sigma_ * DrawNormal(random)));
  return static_cast<int>(std::clamp(length, 1.0, static_cast<double>(kMaxLength)));
}

}  // namespace weft::sim
