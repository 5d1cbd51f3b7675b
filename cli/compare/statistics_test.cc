#include "cli/compare/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace weft::compare {
namespace {

constexpr int kNumRuns = 5;
constexpr int kNumExperiments = 1000;
constexpr uint64_t kSeed = 20;

// Only the generator's words are the same on every machine, not the library's
// distributions: those are made here.
class Noise {
 public:
  explicit Noise(uint64_t seed) : words_(seed) {}

  double Uniform() { return (static_cast<double>(words_() >> 11) + 0.5) * 0x1p-53; }
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(Uniform()));
    return radius * std::cos(2 * M_PI * Uniform());
  }
  // Student's t with 3 degrees of freedom: one run in 50 is off by five times the scale.
  double HeavyTailed() {
    const double a = Normal(), b = Normal(), c = Normal();
    const double numerator = Normal();
    return numerator / std::sqrt((a * a + b * b + c * c) / 3);
  }
  // A fifth of the runs is hit by a pause.
  double WithPauses() {
    const double jitter = 0.01 * Normal();
    return Uniform() < 0.2 ? jitter - 0.2 * std::log(Uniform()) : jitter;
  }

 private:
  std::mt19937_64 words_;
};

double Coverage(const std::function<std::optional<Estimate>(Noise&)>& experiment, double truth) {
  Noise noise(kSeed);
  int num_covered = 0;
  for (int i = 0; i < kNumExperiments; ++i) {
    const std::optional<Estimate> estimate = experiment(noise);
    if (!estimate || !estimate->interval) continue;
    num_covered += estimate->interval->low <= truth && truth <= estimate->interval->high;
  }
  return static_cast<double>(num_covered) / kNumExperiments;
}

TEST(GeometricMean, IntervalCoversTheTruthUnderHeavyTails) {
  const auto experiment = [](Noise& noise) {
    Runs runs;
    for (int i = 0; i < kNumRuns; ++i) runs.push_back(80 * std::exp(0.03 * noise.HeavyTailed()));
    return GeometricMean(runs);
  };
  EXPECT_NEAR(Coverage(experiment, 80), 0.95, 0.02);
}

TEST(PairedRatio, IntervalCoversTheTruthUnderHeavyTailsAndDrift) {
  const auto experiment = [](Noise& noise) {
    Runs a, b;
    double drift = 0;
    for (int i = 0; i < kNumRuns; ++i) {
      drift += 0.1 * noise.Normal();
      a.push_back(88 * std::exp(drift + 0.03 * noise.HeavyTailed()));
      b.push_back(80 * std::exp(drift + 0.03 * noise.HeavyTailed()));
    }
    return PairedRatio(a, b);
  };
  EXPECT_NEAR(Coverage(experiment, 1.1), 0.95, 0.02);
}

TEST(PairedRatio, PausesOnOneSideLeaveTheIntervalWideEnough) {
  const auto ratio = [](Noise& noise) {
    Runs a, b;
    for (int i = 0; i < kNumRuns; ++i) {
      a.push_back(std::exp(noise.WithPauses()));
      b.push_back(std::exp(noise.WithPauses()));
    }
    return PairedRatio(a, b);
  };
  EXPECT_GE(Coverage(ratio, 1), 0.95);
}

// Why verdicts do not compare the subjects' own intervals.
TEST(GeometricMean, PausesLeaveTheIntervalTooNarrow) {
  const auto experiment = [](Noise& noise) {
    Runs runs;
    for (int i = 0; i < kNumRuns; ++i) runs.push_back(std::exp(noise.WithPauses()));
    return GeometricMean(runs);
  };
  EXPECT_NEAR(Coverage(experiment, std::exp(0.2 * 0.2)), 0.57, 0.05);
}

TEST(PairedRatio, DriftSharedByAPairHidesNoDifference) {
  // Everything doubles from round to round; A is 10% above B, give or take 1%.
  const Runs b = {10, 20, 40, 80, 160};
  const Runs a = {11.1, 22, 43.9, 88.2, 175};
  const auto ratio = PairedRatio(a, b);
  ASSERT_TRUE(ratio && ratio->interval);
  EXPECT_NEAR(ratio->value, 1.1, 0.01);
  EXPECT_GT(ratio->interval->low, 1.08);
  EXPECT_EQ(Judge(ratio, 1), Outcome::kAHigher);
}

TEST(PairedRatio, InverseOfTheOther) {
  const Runs a = {3, 4, 5}, b = {2, 5, 4};
  const auto ab = PairedRatio(a, b), ba = PairedRatio(b, a);
  EXPECT_NEAR(ab->value * ba->value, 1, 1e-12);
  EXPECT_NEAR(ab->interval->low * ba->interval->high, 1, 1e-12);
}

TEST(PairedRatio, RoundsThatOneDidNotFinishDoNotCount) {
  const auto ratio = PairedRatio({2, std::nullopt, 2, 9}, {1, 1, 1, std::nullopt});
  ASSERT_TRUE(ratio);
  EXPECT_DOUBLE_EQ(ratio->value, 2);
  EXPECT_EQ(ratio->num, 2);
  EXPECT_FALSE(PairedRatio({1, std::nullopt}, {std::nullopt, 1}));
}

TEST(GeometricMean, KnownInterval) {
  // Logs 0, 1, 2: mean 1, standard error 1/sqrt(3), t(2) = 4.302653.
  const auto mean = GeometricMean({1, std::exp(1), std::exp(2)});
  ASSERT_TRUE(mean && mean->interval);
  EXPECT_NEAR(std::log(mean->value), 1, 1e-12);
  EXPECT_NEAR(std::log(mean->interval->high), 1 + 4.302653 / std::sqrt(3), 1e-6);
}

TEST(GeometricMean, OneRunHasNoInterval) {
  const auto mean = GeometricMean({7});
  ASSERT_TRUE(mean);
  EXPECT_FALSE(mean->interval);
  EXPECT_EQ(Judge(mean, 1), Outcome::kNotMeasured);
  EXPECT_FALSE(GeometricMean({std::nullopt}));
}

TEST(Accuracy, OneAttemptIsAgrestiAndCoull) {
  Scores scores(100, 0);
  for (int i = 0; i < 76; ++i) scores[i] = 1;
  const auto accuracy = Accuracy(scores);
  EXPECT_DOUBLE_EQ(accuracy->value, 0.76);
  const double p = 78.0 / 104, half = 1.959964 * std::sqrt(p * (1 - p) / 104);
  EXPECT_NEAR(accuracy->interval->low, p - half, 1e-6);
  EXPECT_NEAR(accuracy->interval->high, p + half, 1e-6);
}

TEST(Accuracy, AllRightIsNotCertain) {
  const auto accuracy = Accuracy(Scores(10, 1));
  EXPECT_DOUBLE_EQ(accuracy->interval->high, 1);
  EXPECT_LT(accuracy->interval->low, 0.8);
}

TEST(AccuracyDifference, OneAttemptIsAgrestiAndMin) {
  // A alone right on 20 of 100, B alone on 8.
  Scores a(100, 1), b(100, 1);
  for (int i = 0; i < 20; ++i) b[i] = 0;
  for (int i = 20; i < 28; ++i) a[i] = 0;
  const auto difference = AccuracyDifference(a, b);
  EXPECT_DOUBLE_EQ(difference->value, 0.12);
  const double n = 102, b_cell = 20.5, c_cell = 8.5, d = (b_cell - c_cell) / n;
  const double half = 1.959964 * std::sqrt((b_cell + c_cell) / n - d * d) / std::sqrt(n);
  EXPECT_NEAR(difference->interval->low, d - half, 1e-6);
  EXPECT_NEAR(difference->interval->high, d + half, 1e-6);
  EXPECT_EQ(Judge(difference, 0), Outcome::kAHigher);
}

TEST(AccuracyDifference, IntervalCoversTheTruthOverSeeds) {
  // Problems of every difficulty, four attempts each, A better by 12 points on each.
  constexpr int kNumProblems = 60, kNumSeeds = 4;
  const auto experiment = [](Noise& noise) {
    Scores a, b;
    for (int i = 0; i < kNumProblems; ++i) {
      const double difficulty = 0.88 * noise.Uniform();
      double right_a = 0, right_b = 0;
      for (int seed = 0; seed < kNumSeeds; ++seed) {
        right_a += noise.Uniform() < difficulty + 0.12;
        right_b += noise.Uniform() < difficulty;
      }
      a.push_back(right_a / kNumSeeds);
      b.push_back(right_b / kNumSeeds);
    }
    return AccuracyDifference(a, b);
  };
  EXPECT_NEAR(Coverage(experiment, 0.12), 0.95, 0.02);
}

TEST(AccuracyDifference, AnsweringAlikeIsNoDifferenceShown) {
  const Scores scores = {1, 0, 1, 1};
  const auto difference = AccuracyDifference(scores, scores);
  EXPECT_LT(difference->interval->low, 0);
  EXPECT_EQ(Judge(difference, 0), Outcome::kNoDifference);
}

}  // namespace
}  // namespace weft::compare
