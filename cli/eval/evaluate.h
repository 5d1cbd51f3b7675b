// What an expression without containers comes to.
#pragma once

#include <complex>
#include <optional>

#include "cli/eval/math_expression.h"

namespace weft::eval {

// Exactly, if it holds rational numbers and + - * / ^ ! only and does not become huge.
std::optional<Rational> Exact(const Expression& expression);

// At one of endlessly many points: each symbol has a complex value drawn from its name and `point`;
// e, i and \pi are themselves. NaN where it has none.
std::complex<double> ValueAt(const Expression& expression, int point);

bool HasSymbols(const Expression& expression);   // e, i and \pi are none
bool HasDecimals(const Expression& expression);  // so that it may be rounded

}  // namespace weft::eval
