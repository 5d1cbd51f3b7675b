#include "cli/eval/grade.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "cli/eval/evaluate.h"
#include "cli/eval/math_expression.h"
#include "cli/eval/normalize.h"

namespace weft::eval {
namespace {

using Kind = Expression::Kind;

// The published tolerance of numbers that are written with decimals.
constexpr double kRounding = 1e-4;
// Of floating point, for what is equal: formulas are short.
constexpr double kNoise = 1e-9;
constexpr int kNumPoints = 8;
// Each member of one set is sought among those of the other.
constexpr size_t kMaxMembers = 64;

bool Equal(const Expression& a, const Expression& b);

bool AreNear(std::complex<double> a, std::complex<double> b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::abs(b) + 1e-12;  // beside 0, noise is absolute
}

bool EqualScalars(const Expression& a, const Expression& b, double factor = 1) {
  const bool may_be_rounded = HasDecimals(a) || HasDecimals(b);
  if (factor == 1) {
    const std::optional<Rational> exact_a = Exact(a), exact_b = Exact(b);
    if (exact_a && exact_b) {
      if (*exact_a == *exact_b) return true;
      if (!may_be_rounded) return false;
      return abs(*exact_a - *exact_b) * 10'000 <= abs(*exact_b);
    }
  }
  const bool is_constant = !HasSymbols(a) && !HasSymbols(b);
  const double tolerance = is_constant && may_be_rounded ? kRounding : kNoise;
  int num_equal = 0;
  for (int point = 0; point < (is_constant ? 1 : kNumPoints); ++point) {
    const std::complex<double> value_a = factor * ValueAt(a, point), value_b = ValueAt(b, point);
    if (!std::isfinite(std::abs(value_a)) || !std::isfinite(std::abs(value_b))) continue;
    if (!AreNear(value_a, value_b, tolerance)) return false;
    ++num_equal;
  }
  return num_equal > 0;
}

// ± both ways.
bool HasPlusMinus(const Expression& e) {
  return e.kind == Kind::kPlusMinus || std::any_of(e.parts.begin(), e.parts.end(), HasPlusMinus);
}
Expression WithSign(const Expression& e, bool is_plus) {
  Expression result = e;
  for (size_t i = 0; i < e.parts.size(); ++i) result.parts[i] = WithSign(e.parts[i], is_plus);
  if (e.kind == Kind::kPlusMinus) {
    result.kind = Kind::kSum;
    if (!is_plus) {
      Expression negated;
      negated.kind = Kind::kNegation;
      negated.parts.push_back(std::move(result.parts[1]));
      result.parts[1] = std::move(negated);
    }
  }
  return result;
}

bool IsCollection(const Expression& e) { return e.kind == Kind::kList || e.kind == Kind::kSet; }

std::vector<Expression> Members(const Expression& e) {
  std::vector<Expression> members;
  const auto add = [&](const Expression& member) {
    if (HasPlusMinus(member)) {
      members.push_back(WithSign(member, true));
      members.push_back(WithSign(member, false));
    } else {
      members.push_back(member);
    }
  };
  if (IsCollection(e) || e.kind == Kind::kUnion) {
    for (const Expression& part : e.parts) add(part);
  } else {
    add(e);
  }
  return members;
}

// Each member of one is one of the other's, and the other way around.
bool SameMembers(const std::vector<Expression>& a, const std::vector<Expression>& b) {
  if (a.size() > kMaxMembers || b.size() > kMaxMembers) return false;
  const auto covers = [](const std::vector<Expression>& some, const std::vector<Expression>& all) {
    return std::all_of(all.begin(), all.end(), [&](const Expression& member) {
      return std::any_of(some.begin(), some.end(),
                         [&](const Expression& other) { return Equal(other, member); });
    });
  };
  return covers(a, b) && covers(b, a);
}

bool SameParts(const Expression& a, const Expression& b) {
  return a.parts.size() == b.parts.size() &&
         std::equal(a.parts.begin(), a.parts.end(), b.parts.begin(), Equal);
}

// A vector that is set as a column or a row, as the tuple that it is.
std::optional<Expression> AsTuple(const Expression& matrix) {
  Expression tuple;
  tuple.kind = Kind::kTuple;
  tuple.name = "()";
  if (matrix.parts.size() == 1) {
    tuple.parts = matrix.parts[0].parts;
    return tuple;
  }
  for (const Expression& row : matrix.parts) {
    if (row.parts.size() != 1) return std::nullopt;
    tuple.parts.push_back(row.parts[0]);
  }
  return tuple;
}

// ---- relations ----

bool IsName(const Expression& e) {
  if (e.kind == Kind::kSymbol) return true;
  return e.kind == Kind::kProduct && std::all_of(e.parts.begin(), e.parts.end(), IsName);  // f(x)
}

// The interval that -2 < x \le 7 or x > 3 is; nullopt: none.
std::optional<Expression> AsInterval(const Expression& relation) {
  const auto infinity = [](bool is_negative) {
    Expression symbol;
    symbol.kind = Kind::kSymbol;
    symbol.name = "\\infty";
    if (!is_negative) return symbol;
    Expression negated;
    negated.kind = Kind::kNegation;
    negated.parts.push_back(symbol);
    return negated;
  };
  std::string signs = relation.name;
  std::vector<Expression> sides = relation.parts;
  if (signs.find_first_not_of("<l") != std::string::npos) {
    if (signs.find_first_not_of(">g") != std::string::npos) return std::nullopt;
    std::reverse(sides.begin(), sides.end());
    std::reverse(signs.begin(), signs.end());
    for (char& sign : signs) sign = sign == '>' ? '<' : 'l';
  }
  Expression interval;
  interval.kind = Kind::kTuple;
  const auto bracket = [](char sign, const char* of) { return of[sign == 'l']; };
  if (signs.size() == 2 && IsName(sides[1])) {
    interval.name = {bracket(signs[0], "(["), bracket(signs[1], ")]")};
    interval.parts = {sides[0], sides[2]};
  } else if (signs.size() == 1 && IsName(sides[0])) {
    interval.name = {'(', bracket(signs[0], ")]")};
    interval.parts = {infinity(true), sides[1]};
  } else if (signs.size() == 1 && IsName(sides[1])) {
    interval.name = {bracket(signs[0], "(["), ')'};
    interval.parts = {sides[0], infinity(false)};
  } else {
    return std::nullopt;
  }
  return interval;
}

bool IsEquation(const Expression& e) {
  return e.kind == Kind::kRelation && e.name.find_first_not_of('=') == std::string::npos;
}

Expression Difference(const Expression& equation, bool is_turned) {
  Expression negated;
  negated.kind = Kind::kNegation;
  negated.parts.push_back(equation.parts[is_turned ? 0 : 1]);
  Expression sum;
  sum.kind = Kind::kSum;
  sum.parts = {equation.parts[is_turned ? 1 : 0], std::move(negated)};
  return sum;
}

bool RelationSays(const Expression& relation, const Expression& value);

bool EqualRelations(const Expression& a, const Expression& b) {
  if (a.name == b.name && SameParts(a, b)) return true;
  if (b.name == "e") return IsName(b.parts[0]) && RelationSays(a, b.parts[1]);
  if (a.name == "e") return IsName(a.parts[0]) && RelationSays(b, a.parts[1]);
  if (a.name == "=" && b.name == "=") {
    return EqualScalars(Difference(a, false), Difference(b, false)) ||
           EqualScalars(Difference(a, true), Difference(b, false));
  }
  const std::optional<Expression> interval_a = AsInterval(a), interval_b = AsInterval(b);
  return interval_a && interval_b && Equal(*interval_a, *interval_b);
}

// `relation` beside an answer that names no variable: x = 5, x \in [2, 3], 1/2 = 0.5.
bool RelationSays(const Expression& relation, const Expression& value) {
  if (relation.name == "e") return IsName(relation.parts[0]) && Equal(relation.parts[1], value);
  if (IsEquation(relation)) {
    const size_t first = IsName(relation.parts[0]) ? 1 : 0;
    return std::all_of(relation.parts.begin() + static_cast<std::ptrdiff_t>(first),
                       relation.parts.end(), [&](const Expression& e) { return Equal(e, value); });
  }
  const std::optional<Expression> interval = AsInterval(relation);
  return interval && Equal(*interval, value);
}

// ---- units ----

bool EqualMeasures(const Expression& a, const Expression& b) {
  const std::string unit_a = a.kind == Kind::kMeasure ? a.name : "";
  const std::string unit_b = b.kind == Kind::kMeasure ? b.name : "";
  const Expression& value_a = unit_a.empty() ? a : a.parts[0];
  const Expression& value_b = unit_b.empty() ? b : b.parts[0];
  if (!unit_a.empty() && !unit_b.empty() && unit_a != unit_b) return false;
  if (Equal(value_a, value_b)) return true;
  if (unit_a == unit_b) return false;
  if (unit_a == "%") return EqualScalars(value_a, value_b, 0.01);
  return unit_b == "%" && EqualScalars(value_a, value_b, 100);
}

// The unit of a product belongs to all of it, as that of a mixed number's fraction does: "12\pi
// cm", "1\frac{1}{2} feet".
Expression WithUnitOutside(const Expression& e) {
  if ((e.kind != Kind::kProduct && e.kind != Kind::kSum) || e.parts.back().kind != Kind::kMeasure) {
    return e;
  }
  Expression measure;
  measure.kind = Kind::kMeasure;
  measure.name = e.parts.back().name;
  Expression value = e;
  Expression last = e.parts.back().parts[0];
  value.parts.back() = std::move(last);
  measure.parts.push_back(std::move(value));
  return measure;
}

bool EqualPlain(const Expression& a, const Expression& b) {
  if (a.kind == Kind::kRelation || b.kind == Kind::kRelation) {
    if (a.kind == b.kind) return EqualRelations(a, b);
    return a.kind == Kind::kRelation ? RelationSays(a, b) : RelationSays(b, a);
  }
  if (a.kind == Kind::kMeasure || b.kind == Kind::kMeasure) return EqualMeasures(a, b);
  if (a.kind == Kind::kMatrix || b.kind == Kind::kMatrix) {
    if (a.kind == b.kind) {
      return a.parts.size() == b.parts.size() &&
             std::equal(a.parts.begin(), a.parts.end(), b.parts.begin(), SameParts);
    }
    const std::optional<Expression> tuple = AsTuple(a.kind == Kind::kMatrix ? a : b);
    const Expression& other = a.kind == Kind::kMatrix ? b : a;
    return tuple && other.kind == Kind::kTuple && other.name == "()" && SameParts(*tuple, other);
  }
  if (a.kind == Kind::kTuple && b.kind == Kind::kTuple) {
    return a.name == b.name && SameParts(a, b);
  }
  if (a.kind == Kind::kTuple || b.kind == Kind::kTuple) {
    // Brackets left out: in order.
    return (a.kind == Kind::kList || b.kind == Kind::kList) && SameParts(a, b);
  }
  if (a.kind == Kind::kUnion || b.kind == Kind::kUnion) {
    return a.kind == b.kind && SameMembers(Members(a), Members(b));
  }
  if (IsCollection(a) || IsCollection(b) || HasPlusMinus(a) || HasPlusMinus(b)) {
    return SameMembers(Members(a), Members(b));
  }
  if (a.kind == Kind::kBased || b.kind == Kind::kBased) {
    return a.kind == b.kind && a.name == b.name;
  }
  return EqualScalars(a, b);
}

bool Equal(const Expression& a, const Expression& b) {
  return EqualPlain(WithUnitOutside(a), WithUnitOutside(b));
}

// ---- choices ----

// "A" of "\text{(A)}" and "a."; '\0': it is no letter of a choice alone.
char Choice(std::string_view plain) {
  std::string letters;
  for (const char c : plain) {
    if (c == '(' || c == ')' || c == '.' || c == ':') continue;
    letters += c;
  }
  if (letters.size() != 1 || letters[0] < 'a' || letters[0] > 'j') return '\0';
  return letters[0];
}

// "(B) 12", "B. the second", "option B".
bool Chooses(std::string_view answer, char choice) {
  std::string words;
  for (const char c : Normalize(answer)) {
    if (c != '"' && c != '{' && c != '}') words += c;
  }
  absl::StripAsciiWhitespace(&words);
  const std::string_view stripped = words;
  std::string_view rest = stripped;
  const bool has_bracket = rest.starts_with('(');
  if (has_bracket) rest.remove_prefix(1);
  if (rest.size() > 1 && absl::ascii_tolower(rest[0]) == choice &&
      (has_bracket ? rest[1] == ')' : rest[1] == ')' || rest[1] == '.' || rest[1] == ':')) {
    return true;
  }
  const size_t space = stripped.rfind(' ');
  return space != std::string_view::npos && absl::ascii_isalpha(stripped[0]) && space >= 2 &&
         Choice(Plain(stripped.substr(space + 1))) == choice;
}

}  // namespace

Verdict Grade(std::string_view answer, std::string_view reference) {
  const std::string plain_answer = Plain(answer), plain_reference = Plain(reference);
  if (plain_answer == plain_reference) return {true, "same text"};
  if (const char choice = Choice(plain_reference); choice != '\0') {
    if (Choice(plain_answer) == choice || Chooses(answer, choice)) return {true, "same choice"};
  }
  const std::optional<Expression> read_answer = ParseExpression(Normalize(answer));
  if (!read_answer) return {false, "other text"};
  const std::optional<Expression> read_reference = ParseExpression(Normalize(reference));
  if (!read_reference) return {false, "other text"};
  if (!Equal(*read_answer, *read_reference)) return {false, "other value"};
  return {true, "equal value"};
}

}  // namespace weft::eval
