// Figures as a report prints them: three digits, a unit, an interval beside it.
#pragma once

#include <optional>
#include <string>

#include "cli/compare/comparison.h"

namespace weft::compare {

// "0.0123", "1.05", "81.2", "1,386", "2.5e+12".
std::string Number(double value);

// "81.2 ms", "1.23 s", "1,386 tok/s", "3.55 GB".
std::string Figure(Quantity quantity, double value);

// Likewise with the interval in the value's unit: "81.2 [79.9–82.6] ms".
std::string Figure(Quantity quantity, const Estimate& estimate);

// "1.13 [1.12–1.15]".
std::string Ratio(const Estimate& estimate);

// A part of 1 as a percentage without its sign: "76.3".
std::string Percent(double part);

// "12–15%" of two parts of 1, or "12%" where both read alike.
std::string PercentRange(double low, double high);

}  // namespace weft::compare
