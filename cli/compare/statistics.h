// What repeated runs of two servers, and their answers to the same problems, say about
// the difference between them. Every interval is a 95% one.
//
// Times and rates are compared as ratios, on logarithms: noise of a machine multiplies,
// and "A over B" then is the inverse of "B over A". Runs are interleaved: run i of A and
// run i of B are neighbours in time, the order within a pair taking turns. Hence the
// *paired* interval, not Welch's:
//
//   what drifts on a machine (clocks, heat, neighbours) hits both runs of a pair and
//   leaves their difference; Welch's counts it as noise of both and hides real
//   differences behind it. Without drift pairing costs 4 degrees of freedom of 8, a
//   sixth of the width at five pairs.
//   Noise of servers leans to one side: pauses make a run longer, nothing makes it much
//   shorter. Such noise leaves a t interval of few runs far too narrow, yet the
//   difference of two alike noises is symmetric, and for symmetric noise, however heavy
//   its tails, Student's t errs on the wide side.
//
// Simulated with five runs (statistics_test.cc): tails of t with 3 degrees of freedom:
// one subject's interval covers 96%, the ratio's 96%. Pauses in a fifth of the runs of
// both: the ratio's covers 99%, one subject's 57%. So verdicts rest on the ratio alone; the
// interval of one subject shows how its runs scatter. Pauses in a fifth of A's runs and
// in none of B's: the ratio's covers 58%, and A looks better than it is. Nothing in five
// runs tells; more runs do.
#pragma once

#include <optional>
#include <vector>

namespace weft::compare {

struct Interval {
  double low = 0;
  double high = 0;

  friend bool operator==(const Interval&, const Interval&) = default;
};

struct Estimate {
  double value = 0;
  std::optional<Interval> interval;  // none: too little was measured for one
  int num = 0;                       // runs, pairs or problems that count
};

// One subject's figure by round; none where that run failed. Values are above 0.
using Runs = std::vector<std::optional<double>>;

// The geometric mean with Student's t on logarithms; none without a run. Precondition:
// values are finite and above 0.
std::optional<Estimate> GeometricMean(const Runs& runs);

// A over B: the geometric mean of the ratios of rounds that both finished; none without
// such a round. Preconditions: as above, as many rounds of A as of B.
std::optional<Estimate> PairedRatio(const Runs& a, const Runs& b);

// By problem, the share of its attempts (seeds) that were right, from 0 to 1.
using Scores = std::vector<double>;

// The mean over problems. Attempts at one problem are alike, so problems are what is
// counted: the spread between them already holds the luck of the seeds (E. Miller,
// "Adding Error Bars to Evals", arXiv 2411.00640). Two right and two wrong problems are
// added for the interval (A. Agresti, B. Coull, The American Statistician 52, 1998), so
// that it is one also where all are right. None without a problem.
std::optional<Estimate> Accuracy(const Scores& scores);

// A minus B over the same problems in the same order: the normal interval of the
// differences by problem. With one attempt a problem that is the interval beside
// McNemar's test; half a problem is added to each of its four cells (A. Agresti, Y. Min,
// Statistics in Medicine 24, 2005), without which few disagreements make it too narrow.
// None without a problem. Precondition: as many scores of A as of B.
std::optional<Estimate> AccuracyDifference(const Scores& a, const Scores& b);

enum class Outcome { kNotMeasured, kNoDifference, kAHigher, kBHigher };

// Which side of `neutral` (1 for ratios, 0 for differences) the whole interval lies on.
// Without an interval nothing is shown.
Outcome Judge(const std::optional<Estimate>& estimate, double neutral);

}  // namespace weft::compare
