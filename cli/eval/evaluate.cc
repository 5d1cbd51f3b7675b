#include "cli/eval/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string_view>

namespace weft::eval {
namespace {

using Kind = Expression::Kind;
using Complex = std::complex<double>;
using boost::multiprecision::cpp_int;

// Of numerator and denominator; more is left to floating point.
constexpr unsigned kMaxBits = 8192;
constexpr int kMaxFactorial = 300;

const Complex kNone = {std::numeric_limits<double>::quiet_NaN(), 0};

bool IsSmall(const Rational& value) {
  const auto bits = [](const cpp_int& n) -> unsigned { return n == 0 ? 0 : msb(abs(n)) + 1; };
  return bits(numerator(value)) <= kMaxBits && bits(denominator(value)) <= kMaxBits;
}

std::optional<Rational> Bounded(Rational value) {
  if (!IsSmall(value)) return std::nullopt;
  return value;
}

std::optional<Rational> ExactPower(const Rational& base, const Rational& exponent) {
  if (denominator(exponent) != 1 || abs(exponent) > 4096) return std::nullopt;
  const int n = static_cast<int>(numerator(exponent));
  if (base == 0 && n <= 0) return std::nullopt;
  const auto bits = [](const cpp_int& i) -> unsigned { return i == 0 ? 0 : msb(abs(i)) + 1; };
  const unsigned size = std::max(bits(numerator(base)), bits(denominator(base)));
  if (size * static_cast<unsigned>(std::abs(n)) > kMaxBits) return std::nullopt;
  const unsigned power = static_cast<unsigned>(std::abs(n));
  const cpp_int above = pow(cpp_int(numerator(base)), power);
  const cpp_int below = pow(cpp_int(denominator(base)), power);
  return n >= 0 ? Rational(above, below) : Rational(below, above);
}

std::optional<int> SmallInteger(const Expression& e) {
  const std::optional<Rational> value = Exact(e);
  if (!value || denominator(*value) != 1 || *value < 0 || *value > kMaxFactorial) return {};
  return static_cast<int>(numerator(*value));
}

std::optional<Rational> ExactFunction(const Expression& e) {
  if (e.name == "factorial") {
    const std::optional<int> n = SmallInteger(e.parts[0]);
    if (!n) return std::nullopt;
    cpp_int product = 1;
    for (int i = 2; i <= *n; ++i) product *= i;
    return Bounded(product);
  }
  if (e.name == "binom") {
    const std::optional<int> n = SmallInteger(e.parts[0]), k = SmallInteger(e.parts[1]);
    if (!n || !k) return std::nullopt;
    cpp_int value = *k > *n ? 0 : 1;
    for (int i = 0; i < *k && value != 0; ++i) value = value * (*n - i) / (i + 1);
    return Bounded(value);
  }
  if (e.name == "abs") {
    if (std::optional<Rational> value = Exact(e.parts[0])) return Rational(abs(*value));
  }
  return std::nullopt;
}

// Neither zero nor large: 0.5 to 1.5 from the origin, anywhere around it.
Complex ValueOf(std::string_view symbol, int point) {
  if (symbol == "\\pi") return std::numbers::pi;
  if (symbol == "e") return std::numbers::e;
  if (symbol == "i") return {0, 1};
  uint64_t hash = 0xcbf29ce484222325 + static_cast<uint64_t>(point) * 0x9e3779b97f4a7c15;
  for (const char c : symbol) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  const auto draw = [&] {  // splitmix64
    uint64_t z = (hash += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
  };
  const double radius = 0.5 + draw();
  return std::polar(radius, 2 * std::numbers::pi * draw());
}

Complex FunctionAt(const Expression& e, int point) {
  if (const std::optional<Rational> exact = ExactFunction(e)) return exact->convert_to<double>();
  const Complex x = ValueAt(e.parts[0], point);
  const std::string_view name = e.name;
  if (name == "sqrt") return std::sqrt(x);
  if (name == "root") {
    const Complex n = ValueAt(e.parts[1], point);
    // The real root of a real number, where there is one.
    if (x.imag() == 0 && x.real() < 0 && n.imag() == 0 && std::fmod(n.real(), 2) == 1) {
      return -std::pow(-x.real(), 1 / n.real());
    }
    return std::pow(x, 1.0 / n);
  }
  if (name == "abs") return std::abs(x);
  if (name == "sin") return std::sin(x);
  if (name == "cos") return std::cos(x);
  if (name == "tan") return std::tan(x);
  if (name == "cot") return 1.0 / std::tan(x);
  if (name == "sec") return 1.0 / std::cos(x);
  if (name == "csc") return 1.0 / std::sin(x);
  if (name == "arcsin") return std::asin(x);
  if (name == "arccos") return std::acos(x);
  if (name == "arctan") return std::atan(x);
  if (name == "sinh") return std::sinh(x);
  if (name == "cosh") return std::cosh(x);
  if (name == "tanh") return std::tanh(x);
  if (name == "exp") return std::exp(x);
  if (name == "ln") return std::log(x);
  if (name == "log") {
    // Without a base as computer algebra reads it, too: the natural one.
    return e.parts.size() == 1 ? std::log(x) : std::log(x) / std::log(ValueAt(e.parts[1], point));
  }
  if ((name == "floor" || name == "ceil") && std::abs(x.imag()) < 1e-12) {
    return name == "floor" ? std::floor(x.real()) : std::ceil(x.real());
  }
  return kNone;
}

bool Any(const Expression& e, bool (*is_one)(const Expression&)) {
  return is_one(e) || std::any_of(e.parts.begin(), e.parts.end(),
                                  [&](const Expression& part) { return Any(part, is_one); });
}

}  // namespace

std::optional<Rational> Exact(const Expression& e) {
  switch (e.kind) {
    case Kind::kNumber:
      return e.number;
    case Kind::kNegation:
      if (const auto value = Exact(e.parts[0])) return Rational(-*value);
      return std::nullopt;
    case Kind::kSum:
    case Kind::kProduct: {
      Rational result = e.kind == Kind::kSum ? 0 : 1;
      for (const Expression& part : e.parts) {
        const auto value = Exact(part);
        if (!value) return std::nullopt;
        if (e.kind == Kind::kSum) {
          result += *value;
        } else {
          result *= *value;
        }
        if (!IsSmall(result)) return std::nullopt;
      }
      return result;
    }
    case Kind::kQuotient: {
      const auto above = Exact(e.parts[0]);
      const auto below = above ? Exact(e.parts[1]) : std::nullopt;
      if (!below || *below == 0) return std::nullopt;
      return Bounded(*above / *below);
    }
    case Kind::kPower: {
      const auto base = Exact(e.parts[0]);
      const auto exponent = base ? Exact(e.parts[1]) : std::nullopt;
      if (!exponent) return std::nullopt;
      return ExactPower(*base, *exponent);
    }
    case Kind::kFunction:
      return ExactFunction(e);
    default:
      return std::nullopt;
  }
}

Complex ValueAt(const Expression& e, int point) {
  switch (e.kind) {
    case Kind::kNumber:
      return e.number.convert_to<double>();
    case Kind::kSymbol:
      return ValueOf(e.name, point);
    case Kind::kNegation:
      return -ValueAt(e.parts[0], point);
    case Kind::kSum: {
      Complex sum = 0;
      for (const Expression& part : e.parts) sum += ValueAt(part, point);
      return sum;
    }
    case Kind::kProduct: {
      Complex product = 1;
      for (const Expression& part : e.parts) product *= ValueAt(part, point);
      return product;
    }
    case Kind::kQuotient:
      return ValueAt(e.parts[0], point) / ValueAt(e.parts[1], point);
    case Kind::kPower: {
      const Complex base = ValueAt(e.parts[0], point);
      const Complex exponent = ValueAt(e.parts[1], point);
      // Exactly for small whole exponents: of a negative base, too.
      if (exponent.imag() == 0 && std::abs(exponent.real()) <= 64 &&
          exponent.real() == std::floor(exponent.real())) {
        Complex power = 1;
        for (int i = 0; i < std::abs(static_cast<int>(exponent.real())); ++i) power *= base;
        return exponent.real() < 0 ? 1.0 / power : power;
      }
      return std::pow(base, exponent);
    }
    case Kind::kMeasure: {
      // Within a formula an angle in degrees is one in radians.
      const Complex value = ValueAt(e.parts[0], point);
      if (e.name == "degree") return value * (std::numbers::pi / 180);
      return e.name == "%" ? value / 100.0 : value;
    }
    case Kind::kFunction:
      return FunctionAt(e, point);
    default:
      return kNone;
  }
}

bool HasSymbols(const Expression& e) {
  return Any(e, [](const Expression& part) {
    return part.kind == Kind::kSymbol && part.name != "e" && part.name != "i" &&
           part.name != "\\pi";
  });
}

bool HasDecimals(const Expression& e) {
  return Any(e, [](const Expression& part) { return part.is_decimal; });
}

}  // namespace weft::eval
