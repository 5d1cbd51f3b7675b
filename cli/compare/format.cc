#include "cli/compare/format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::compare {
namespace {

struct Scale {
  double divisor;
  const char* unit;
};

// Chosen by one value for all that stand beside it.
Scale ScaleOf(Quantity quantity, double value) {
  switch (quantity) {
    case Quantity::kTime:
      return value < 1000 ? Scale{1, "ms"} : Scale{1e3, "s"};
    case Quantity::kRate:
      return {1, "tok/s"};
    case Quantity::kBytes:
      if (value < 1e3) return {1, "B"};
      if (value < 1e6) return {1e3, "kB"};
      if (value < 1e9) return {1e6, "MB"};
      return value < 1e12 ? Scale{1e9, "GB"} : Scale{1e12, "TB"};
  }
  return {1, ""};
}

std::string WithThousands(int64_t value) {
  if (value < 1000) return absl::StrCat(value);
  return absl::StrFormat("%s,%03d", WithThousands(value / 1000), value % 1000);
}

std::string Bracketed(const Interval& interval, double divisor) {
  return absl::StrCat("[", Number(interval.low / divisor), "–", Number(interval.high / divisor),
                      "]");
}

// Two digits are what an interval's end is good for.
std::string TwoDigits(double percent) {
  const int decimals =
      percent <= 0 ? 0 : std::clamp(1 - static_cast<int>(std::floor(std::log10(percent))), 0, 4);
  return absl::StrFormat("%.*f", decimals, percent);
}

}  // namespace

std::string Number(double value) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (std::isinf(value)) return value > 0 ? "∞" : "-∞";  // the end of an interval of two
  if (size >= 1e9 || size < 1e-4) return absl::StrFormat("%.3g", value);
  if (size >= 999.5) {
    return absl::StrCat(value < 0 ? "-" : "", WithThousands(std::llround(size)));
  }
  // Kept zeros: "1.00" says how well it is known, "1" does not.
  const int decimals = 2 - static_cast<int>(std::floor(std::log10(size)));
  return absl::StrFormat("%.*f", decimals, value);
}

std::string Figure(Quantity quantity, double value) {
  const Scale scale = ScaleOf(quantity, value);
  return absl::StrCat(Number(value / scale.divisor), " ", scale.unit);
}

std::string Figure(Quantity quantity, const Estimate& estimate) {
  const Scale scale = ScaleOf(quantity, estimate.value);
  std::string text = Number(estimate.value / scale.divisor);
  if (estimate.interval) {
    absl::StrAppend(&text, " ", Bracketed(*estimate.interval, scale.divisor));
  }
  return absl::StrCat(text, " ", scale.unit);
}

std::string Ratio(const Estimate& estimate) {
  std::string text = Number(estimate.value);
  if (estimate.interval) absl::StrAppend(&text, " ", Bracketed(*estimate.interval, 1));
  return text;
}

std::string Percent(double part) { return absl::StrFormat("%.1f", 100 * part); }

std::string PercentRange(double low, double high) {
  const std::string from = TwoDigits(100 * low), to = TwoDigits(100 * high);
  return from == to ? absl::StrCat(to, "%") : absl::StrCat(from, "–", to, "%");
}

}  // namespace weft::compare
