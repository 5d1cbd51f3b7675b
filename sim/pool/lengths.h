// How long drawn prompts and answers are: a distribution that a person can
// write on a command line.
//
//   512               every one the same
//   uniform:100-2000  each length from 100 to 2000 equally often
//   lognormal:512,0.8 the median, and the standard deviation of the length's
//                     logarithm: 68 in 100 lie between 512 / e^0.8 and 512 * e^0.8
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "sim/random.h"

namespace weft::sim {

// Of one prompt or answer, in tokens.
inline constexpr int kMaxLength = 1 << 20;

// Of mean 0 and deviation 1.
double DrawNormal(Random& random);

class LengthDistribution {
 public:
  static LengthDistribution Fixed(int num_tokens);

  // InvalidArgument says what `text` may be; it does not name the flag.
  static absl::StatusOr<LengthDistribution> Parse(const std::string& text);

  // From 1 to kMaxLength; what a log-normal has beyond is cut to that.
  int Draw(Random& random) const;

 private:
  enum class Kind { kUniform, kLogNormal };
  LengthDistribution(Kind kind, int low, int high, double sigma)
      : kind_(kind), low_(low), high_(high), sigma_(sigma) {}

  Kind kind_;
  int low_;       // kLogNormal: the median
  int high_;      // kUniform
  double sigma_;  // kLogNormal
};

}  // namespace weft::sim
