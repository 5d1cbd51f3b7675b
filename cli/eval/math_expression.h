// An answer in LaTeX, read as what it means: a number, a formula, a set, a tuple, a matrix …
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::eval {

using Rational = boost::multiprecision::cpp_rational;

struct Expression {
  enum class Kind {
    kNumber,     // number; is_decimal: written with a decimal point
    kBased,      // name: "4210_5", digits in another base than ten
    kSymbol,     // name: "x", "\\pi", "\\infty", "x_1"
    kSum,        // parts
    kProduct,    // parts
    kQuotient,   // parts[0] / parts[1]
    kPower,      // parts[0] ^ parts[1]
    kNegation,   // parts[0]
    kFunction,   // name: "sin", "sqrt", "abs", …; parts: arguments
    kPlusMinus,  // parts[0] ± parts[1]
    kMeasure,    // name: a unit, "cm^2", "degree", "%"; parts[0]: of how many
    kTuple,      // name: its two brackets, "()", "(]", "[)", "[]"; two parts may be an interval
    kSet,        // {…}
    kList,       // bare, between commas
    kUnion,      // of sets or intervals
    kMatrix,     // parts: rows, each a kList
    kRelation,   // name: one sign for each gap, such as "=" or "<<"; "e": is an element of
  };
  Kind kind = Kind::kNumber;
  std::string name;
  Rational number;
  bool is_decimal = false;
  std::vector<Expression> parts;
};

// nullopt: it cannot be read, such as words. `normalized` is Normalize's. Bounded in time and depth
// whatever the text.
std::optional<Expression> ParseExpression(std::string_view normalized);

}  // namespace weft::eval
