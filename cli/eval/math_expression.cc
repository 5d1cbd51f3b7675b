#include "cli/eval/math_expression.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "cli/eval/units.h"

namespace weft::eval {
namespace {

using Kind = Expression::Kind;

// Longer answers are compared letter by letter. A pair of brackets takes four levels; comparing
// sets in sets doubles its work with each pair, so that it has few.
constexpr size_t kMaxLength = 2000;
constexpr int kMaxDepth = 60;

constexpr std::string_view kFunctions[] = {"sin",  "cos",    "tan",    "cot",    "sec",
                                           "csc",  "arcsin", "arccos", "arctan", "sinh",
                                           "cosh", "tanh",   "ln",     "log",    "exp"};
// Commands that are not letters, and what a factor may begin with.
constexpr std::string_view kLetters[] = {
    "pi",     "alpha", "beta",   "gamma",  "delta", "epsilon", "varepsilon", "zeta",  "eta",
    "theta",  "iota",  "kappa",  "lambda", "mu",    "nu",      "xi",         "rho",   "sigma",
    "tau",    "phi",   "varphi", "chi",    "psi",   "omega",   "Gamma",      "Delta", "Theta",
    "Lambda", "Sigma", "Phi",    "Psi",    "Omega", "infty"};

template <typename Range>
bool Contains(const Range& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Expression Node(Kind kind, std::vector<Expression> parts, std::string name = {}) {
  return {.kind = kind, .name = std::move(name), .number = 0, .parts = std::move(parts)};
}
Expression Number(Rational number, bool is_decimal = false) {
  return {.kind = Kind::kNumber,
          .name = {},
          .number = std::move(number),
          .is_decimal = is_decimal,
          .parts = {}};
}

using Integer = boost::multiprecision::cpp_int;

// A leading 0 would make it octal.
Integer ToInteger(std::string_view digits) {
  Integer value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}
Integer PowerOfTen(int exponent) {
  return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(exponent));
}

bool IsInteger(const Expression& e) {
  return e.kind == Kind::kNumber && !e.is_decimal && denominator(e.number) == 1;
}

// Recursive descent over the text itself: what TeX takes for one argument depends on characters.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Expression> Run() {
    Expression answer = List();
    Spaces();
    if (has_failed_ || at_ < text_.size()) return std::nullopt;
    return answer;
  }

 private:
  // Each level of recursion holds one.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) parser_.Fail();
    }
    ~Level() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  Expression Fail() {
    has_failed_ = true;
    at_ = text_.size();  // every loop ends there
    return {};
  }

  // ---- characters ----

  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void Spaces() {
    while (Peek() == ' ') ++at_;
  }
  // A quote opens or closes words; between factors it says no more.
  void SpacesAndQuotes() {
    while (Peek() == ' ' || Peek() == '"') Next();
  }
  void Next() {
    if (Peek() == '"') is_in_words_ = !is_in_words_;
    ++at_;
  }
  bool Take(std::string_view literal) {
    SpacesAndQuotes();
    if (!text_.substr(at_).starts_with(literal)) return false;
    at_ += literal.size();
    return true;
  }
  // "\frac" at this place, without the backslash; empty: no command.
  std::string_view Command() {
    SpacesAndQuotes();
    if (Peek() != '\\') return {};
    size_t end = at_ + 1;
    while (end < text_.size() && absl::ascii_isalpha(text_[end])) ++end;
    return text_.substr(at_ + 1, end - at_ - 1);
  }
  bool TakeCommand(std::string_view name) {
    if (name.empty() || Command() != name) return false;
    at_ += name.size() + 1;
    return true;
  }
  // Letters without a backslash.
  std::string_view Word() {
    SpacesAndQuotes();
    size_t end = at_;
    while (end < text_.size() && absl::ascii_isalpha(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }
  std::string_view Digits() {
    const size_t begin = at_;
    while (absl::ascii_isdigit(Peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // ---- lists, relations, unions ----

  bool TakeSeparator() {
    SpacesAndQuotes();
    bool is_one = Take(",") || Take(";");
    for (const std::string_view word : {"and", "or"}) {
      if (Word() == word) {
        at_ += word.size();
        is_one = true;
      }
    }
    return is_one;
  }

  // Of one item: that item.
  Expression List() {
    const Level level(*this);
    if (has_failed_) return {};
    std::vector<Expression> items;
    do {
      items.push_back(Relation());
    } while (!has_failed_ && TakeSeparator());
    if (items.size() == 1) return std::move(items.front());
    return Node(Kind::kList, std::move(items));
  }

  // '\0': none.
  char TakeRelation() {
    struct Sign {
      std::string_view text;
      char sign;
    };
    constexpr Sign kCommands[] = {{"le", 'l'}, {"ge", 'g'},     {"lt", '<'}, {"gt", '>'},
                                  {"in", 'e'}, {"approx", '='}, {"ne", 'n'}};
    for (const Sign& sign : kCommands) {
      if (TakeCommand(sign.text)) return sign.sign;
    }
    constexpr Sign kSigns[] = {{"<=", 'l'}, {">=", 'g'}, {"=", '='}, {"<", '<'}, {">", '>'}};
    for (const Sign& sign : kSigns) {
      if (Take(sign.text)) return sign.sign;
    }
    return '\0';
  }

  Expression Relation() {
    std::vector<Expression> sides = {Union()};
    std::string signs;
    for (char sign; !has_failed_ && (sign = TakeRelation()) != '\0';) {
      signs += sign;
      sides.push_back(Union());
    }
    if (signs.empty()) return std::move(sides.front());
    return Node(Kind::kRelation, std::move(sides), std::move(signs));
  }

  Expression Union() {
    std::vector<Expression> sets = {Sum()};
    while (!has_failed_ && TakeCommand("cup")) sets.push_back(Sum());
    if (sets.size() == 1) return std::move(sets.front());
    return Node(Kind::kUnion, std::move(sets));
  }

  // ---- arithmetic ----

  Expression Sum() {
    const Level level(*this);
    if (has_failed_) return {};
    Expression sum;
    if (TakeCommand("pm")) {
      sum = Node(Kind::kPlusMinus, {Number(0), Product()});
    } else if (Take("-")) {
      sum = Node(Kind::kNegation, {Product()});
    } else {
      Take("+");
      sum = Product();
    }
    while (!has_failed_) {
      if (TakeCommand("pm")) {
        sum = Node(Kind::kPlusMinus, {std::move(sum), Product()});
      } else if (Take("+")) {
        Append(sum, Product());
      } else if (Take("-")) {
        Append(sum, Node(Kind::kNegation, {Product()}));
      } else {
        break;
      }
    }
    return sum;
  }

  // One flat sum: depth is bounded for what walks the tree, too.
  static void Append(Expression& sum, Expression term) {
    if (sum.kind != Kind::kSum) sum = Node(Kind::kSum, {std::move(sum)});
    sum.parts.push_back(std::move(term));
  }

  Expression Product() {
    Expression product = Measured();
    int num_quotients = 0;
    while (!has_failed_) {
      Expression factor;
      const bool is_quotient = Take("/") || TakeCommand("div");
      if (is_quotient) {
        if (++num_quotients > kMaxDepth) return Fail();
        product = Node(Kind::kQuotient, {std::move(product), SignedFactor()});
        continue;
      }
      if (Take("*") || TakeCommand("cdot") || TakeCommand("times")) {
        factor = SignedFactor();
      } else if (BeginsFactor()) {
        const bool may_be_mixed = IsInteger(product);
        if (std::optional<Rational> part = may_be_mixed ? SpacedFraction() : std::nullopt) {
          product = Measured(Number(product.number + *part));
          continue;
        }
        factor = Measured();
        if (may_be_mixed && IsFraction(factor)) {
          Append(product, std::move(factor));
          product = Measured(std::move(product));
          continue;
        }
      } else {
        break;
      }
      if (product.kind != Kind::kProduct) product = Node(Kind::kProduct, {std::move(product)});
      product.parts.push_back(std::move(factor));
    }
    return product;
  }

  Expression SignedFactor() {
    const Level level(*this);
    if (has_failed_) return {};
    if (Take("-")) return Node(Kind::kNegation, {SignedFactor()});
    return Measured();
  }

  // The "1/2" of "3 1/2". nullopt, and nothing is read: something else stands there.
  std::optional<Rational> SpacedFraction() {
    const size_t begin = at_;
    const Integer numerator = ToInteger(Digits());
    if (at_ > begin && Peek() == '/' && absl::ascii_isdigit(Peek(1))) {
      ++at_;
      const Integer denominator = ToInteger(Digits());
      if (denominator != 0 && Peek() != '.' && Peek() != '^') {
        return Rational(numerator, denominator);
      }
    }
    at_ = begin;
    return std::nullopt;
  }

  // The \frac{4}{5} of "1\frac{4}{5}", which is a sum; with its unit, if it has one.
  static bool IsFraction(const Expression& e) {
    const Expression& value = e.kind == Kind::kMeasure ? e.parts[0] : e;
    return value.kind == Kind::kQuotient && IsInteger(value.parts[0]) && IsInteger(value.parts[1]);
  }

  bool BeginsFactor() {
    const std::string_view command = Command();
    if (!command.empty()) {
      return command == "frac" || command == "sqrt" || command == "binom" || command == "begin" ||
             command == "emptyset" || command == "lfloor" || command == "lceil" ||
             Contains(kFunctions, command) || Contains(kLetters, command);
    }
    const char c = Peek();
    if (c == '|') return num_open_bars_ == 0;
    if (absl::ascii_isalpha(c)) return Word() != "and" && Word() != "or";
    return absl::ascii_isdigit(c) || c == '(' || c == '[' || c == '{' ||
           (c == '.' && absl::ascii_isdigit(Peek(1)));
  }

  // A factor and the unit behind it, if there is one; other words behind a factor say nothing.
  Expression Measured() { return Measured(Power()); }

  Expression Measured(Expression value) {
    std::string unit;
    while (!has_failed_) {
      if (Take("%")) {
        unit = "%";
        continue;
      }
      const std::string_view word = Word();
      if (word.empty()) {
        if (unit.empty()) break;
        if (unit.back() == '/' || unit.back() == '^') return Fail();
        if (Take("^")) {
          const Expression exponent = Argument();
          if (!IsInteger(exponent)) return Fail();
          unit += "^" + exponent.number.str();
        } else if (Peek() == '/' && IsUnitAt(at_ + 1)) {
          Take("/");
          unit += '/';
        } else {
          break;
        }
        continue;
      }
      if (word == "and" || word == "or") break;
      std::string_view name = UnitName(word);
      // A letter alone is a variable, but not in "km/h".
      if (word.size() == 1 && !is_in_words_ && !unit.ends_with('/')) name = {};
      if (word == "per" && !unit.empty()) {
        unit += '/';
      } else if (word == "square" || word == "sq" || word == "cubic") {
        at_ += word.size();
        const std::string_view base = UnitName(Word());
        if (base.empty()) return Fail();
        unit += base;
        unit += word == "cubic" ? "^3" : "^2";
        at_ += Word().size();
        continue;
      } else if (!name.empty()) {
        unit += name;
      } else if (is_in_words_ ? word.size() == 1
                              : word.size() < 4 || IsName(word) || value.kind == Kind::kSymbol) {
        break;
      }
      at_ += word.size();
    }
    if (unit.empty()) return value;
    return Node(Kind::kMeasure, {std::move(value)}, std::move(unit));
  }

  static bool IsName(std::string_view word) {
    return Contains(kFunctions, word) || word == "sqrt" || word == "infty" || word == "infinity";
  }

  bool IsUnitAt(size_t at) const {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '"')) ++at;
    size_t end = at;
    while (end < text_.size() && absl::ascii_isalpha(text_[end])) ++end;
    return !UnitName(text_.substr(at, end - at)).empty();
  }

  Expression Power() {
    const Level level(*this);
    if (has_failed_) return {};
    Expression base = Primary();
    while (!has_failed_) {
      Spaces();
      if (Peek() == '!') {
        ++at_;
        base = Node(Kind::kFunction, {std::move(base)}, "factorial");
        if (++num_factorials_ > kMaxDepth) return Fail();
      } else if (Peek() == '^') {
        ++at_;
        if (TakeDegree()) {
          base = Node(Kind::kMeasure, {std::move(base)}, "degree");
          break;
        }
        base = Node(Kind::kPower, {std::move(base), Argument()});
        break;
      } else if (TakeCommand("circ")) {
        base = Node(Kind::kMeasure, {std::move(base)}, "degree");
      } else {
        break;
      }
    }
    return base;
  }

  bool TakeDegree() {
    Spaces();
    for (const std::string_view circle : {"\\circ", "{\\circ}", "{ \\circ }"}) {
      if (text_.substr(at_).starts_with(circle)) {
        at_ += circle.size();
        return true;
      }
    }
    return false;
  }

  // A group, a number, one letter or one command: what stands behind ^ and \sqrt.
  Expression Argument() {
    const Level level(*this);
    if (has_failed_) return {};
    Spaces();
    if (Peek() == '{') return Group();
    if (Peek() == '-' || Peek() == '+') return SignedFactorOfExponent();
    if (absl::ascii_isdigit(Peek())) return Number(ToInteger(Digits()));
    return Primary();
  }
  Expression SignedFactorOfExponent() {
    const bool is_negative = Peek() == '-';
    ++at_;
    Expression argument = Argument();
    return is_negative ? Node(Kind::kNegation, {std::move(argument)}) : argument;
  }

  // TeX's own: one digit of "\frac14".
  Expression FractionArgument() {
    Spaces();
    if (absl::ascii_isdigit(Peek())) {
      ++at_;
      return Number(text_[at_ - 1] - '0');
    }
    return Argument();
  }

  Expression Group() {
    if (!Take("{")) return Fail();
    Expression content = List();
    if (!Take("}")) return Fail();
    return content;
  }

  Expression Fraction() {
    TakeCommand("frac");
    Expression numerator = FractionArgument();
    Expression denominator = FractionArgument();
    return Node(Kind::kQuotient, {std::move(numerator), std::move(denominator)});
  }

  // ---- what stands by itself ----

  Expression Primary() {
    const Level level(*this);
    if (has_failed_) return {};
    const std::string_view command = Command();
    const char c = Peek();
    if (!command.empty()) return OfCommand(command);
    if (absl::ascii_isdigit(c) || (c == '.' && absl::ascii_isdigit(Peek(1)))) return Literal();
    if (c == '(' || c == '[') return Bracketed();
    if (c == '{') return Group();
    if (c == '|') return Bars();
    if (Take("\\{")) return Set();
    if (absl::ascii_isalpha(c)) return OfWord();
    return Fail();
  }

  Expression OfCommand(std::string_view command) {
    if (command == "frac") return Fraction();
    if (Contains(kFunctions, command)) {
      TakeCommand(command);
      return Function(command);
    }
    if (Contains(kLetters, command)) {
      TakeCommand(command);
      return Symbol("\\" + std::string(command));
    }
    if (TakeCommand("sqrt")) return Root();
    if (TakeCommand("emptyset")) return Node(Kind::kSet, {});
    if (TakeCommand("binom")) {
      Expression n = FractionArgument();
      Expression k = FractionArgument();
      return Node(Kind::kFunction, {std::move(n), std::move(k)}, "binom");
    }
    if (TakeCommand("lfloor")) return Closed("floor", "rfloor");
    if (TakeCommand("lceil")) return Closed("ceil", "rceil");
    if (TakeCommand("begin")) return Matrix();
    return Fail();
  }

  Expression Closed(std::string name, std::string_view closing) {
    Expression content = Sum();
    if (!TakeCommand(closing)) return Fail();
    return Node(Kind::kFunction, {std::move(content)}, std::move(name));
  }

  Expression Root() {
    Spaces();
    if (!Take("[")) return Node(Kind::kFunction, {Argument()}, "sqrt");
    Expression degree = Sum();
    if (!Take("]")) return Fail();
    Expression content = Argument();
    return Node(Kind::kFunction, {std::move(content), std::move(degree)}, "root");
  }

  // \sin^2 x, \log_2 8, \cot x: the argument is the next factors up to a sign.
  Expression Function(std::string_view name) {
    std::optional<Expression> exponent, base;
    for (bool goes_on = true; goes_on && !has_failed_;) {
      Spaces();
      goes_on = true;
      if (Peek() == '^') {
        ++at_;
        exponent = Argument();
      } else if (Peek() == '_') {
        ++at_;
        base = Argument();
      } else {
        goes_on = false;
      }
    }
    SpacesAndQuotes();
    Expression argument;
    if (Peek() == '(' || Peek() == '{') {
      argument = Power();
    } else {
      std::vector<Expression> factors = {Power()};
      while (!has_failed_ && BeginsFactor() && !Contains(kFunctions, Command()) &&
             !IsName(Word())) {
        factors.push_back(Power());
      }
      argument = factors.size() == 1 ? std::move(factors.front())
                                     : Node(Kind::kProduct, std::move(factors));
    }
    if (has_failed_) return {};
    std::string called(name);
    const bool is_inverse = exponent && exponent->kind == Kind::kNegation &&
                            IsInteger(exponent->parts[0]) && exponent->parts[0].number == 1;
    if (is_inverse && (name == "sin" || name == "cos" || name == "tan")) {
      called = "arc" + called;
      exponent.reset();
    }
    std::vector<Expression> arguments = {std::move(argument)};
    if (base) arguments.push_back(*std::move(base));
    Expression value = Node(Kind::kFunction, std::move(arguments), std::move(called));
    if (!exponent) return value;
    return Node(Kind::kPower, {std::move(value), *std::move(exponent)});
  }

  Expression Symbol(std::string name) {
    Spaces();
    if (Peek() == '_') {
      ++at_;
      const size_t begin = at_;
      Argument();
      name += '_';
      for (const char c : text_.substr(begin, at_ - begin)) {
        if (c != '{' && c != '}' && c != ' ') name += c;
      }
    }
    return {.kind = Kind::kSymbol, .name = std::move(name), .number = 0, .parts = {}};
  }

  // Letters: a function's name, π, infinity, or variables side by side. Four and more are words.
  Expression OfWord() {
    const std::string word(Word());
    for (const std::string_view name : kFunctions) {
      if (word == name) {
        at_ += word.size();
        return Function(name);
      }
    }
    if (word == "sqrt") {
      at_ += word.size();
      return Node(Kind::kFunction, {Peek() == '(' ? Bracketed() : Argument()}, "sqrt");
    }
    if (word == "pi" || word == "infty" || word == "infinity" || word == "inf") {
      at_ += word.size();
      return Symbol(word == "pi" ? "\\pi" : "\\infty");
    }
    if (word.size() > 3 || (is_in_words_ && word.size() > 1)) return Fail();
    ++at_;
    return Symbol(word.substr(0, 1));
  }

  // 12  1,234  10,\!080  .5  0.\overline{3}  1e-5  4210_5
  Expression Literal() {
    std::string digits(Digits());
    TakeThousands(digits);
    std::string decimals;
    bool is_decimal = false;
    if (Peek() == '.') {
      ++at_;
      is_decimal = absl::ascii_isdigit(Peek());
      decimals = Digits();
    }
    Spaces();
    if (Peek() == '_') {
      ++at_;
      const Expression base = Argument();
      if (!IsInteger(base)) return Fail();
      return {
          .kind = Kind::kBased, .name = digits + "_" + base.number.str(), .number = 0, .parts = {}};
    }
    Rational value(ToInteger(digits + decimals), PowerOfTen(static_cast<int>(decimals.size())));
    if (TakeCommand("overline")) {
      if (!Take("{")) return Fail();
      const std::string period(Digits());
      if (period.empty() || !Take("}")) return Fail();
      const int length = static_cast<int>(period.size());
      value += Rational(ToInteger(period),
                        PowerOfTen(static_cast<int>(decimals.size())) * (PowerOfTen(length) - 1));
      return Number(std::move(value));
    }
    TakeExponent(value);
    return Number(std::move(value), is_decimal);
  }

  void TakeThousands(std::string& digits) {
    while (Peek() == ',') {
      size_t at = at_ + 1;
      const bool is_tight = text_.substr(at).starts_with("\\!");
      if (is_tight) at += 2;
      while (is_tight && at < text_.size() && text_[at] == ' ') ++at;
      size_t end = at;
      while (end < text_.size() && absl::ascii_isdigit(text_[end])) ++end;
      // Within brackets a comma parts members.
      const bool is_separator =
          is_tight || (num_open_brackets_ == 0 && digits.size() <= 3) || has_thousands_;
      if (end - at != 3 || !is_separator) break;
      digits += text_.substr(at, 3);
      has_thousands_ = true;
      at_ = end;
    }
    has_thousands_ = false;
  }

  void TakeExponent(Rational& value) {
    if (Peek() != 'e' && Peek() != 'E') return;
    const bool is_signed = Peek(1) == '-' || Peek(1) == '+';
    const bool is_negative = Peek(1) == '-';
    if (!absl::ascii_isdigit(Peek(is_signed ? 2 : 1))) return;
    at_ += is_signed ? 2 : 1;
    const std::string_view digits = Digits();
    if (digits.size() > 3) {
      Fail();
      return;
    }
    const Integer scale = PowerOfTen(static_cast<int>(ToInteger(digits)));
    value *= is_negative ? Rational(1, scale) : Rational(scale);
  }

  Expression Bracketed() {
    const char open = Peek();
    ++at_;
    ++num_open_brackets_;
    Expression content = List();
    --num_open_brackets_;
    SpacesAndQuotes();
    const char close = Peek();
    if (close != ')' && close != ']') return Fail();
    ++at_;
    const std::string brackets = {open, close};
    if (content.kind == Kind::kList) {
      content.kind = Kind::kTuple;
      content.name = brackets;
      return content;
    }
    if (brackets != "()" && brackets != "[]") return Fail();
    return content;
  }

  Expression Set() {
    if (Take("\\}")) return Node(Kind::kSet, {});
    ++num_open_brackets_;
    Expression content = List();
    --num_open_brackets_;
    if (!Take("\\}")) return Fail();
    if (content.kind == Kind::kList) {
      content.kind = Kind::kSet;
      return content;
    }
    return Node(Kind::kSet, {std::move(content)});
  }

  Expression Bars() {
    ++at_;
    ++num_open_bars_;
    Expression content = Sum();
    --num_open_bars_;
    if (!Take("|")) return Fail();
    return Node(Kind::kFunction, {std::move(content)}, "abs");
  }

  Expression Matrix() {
    if (!Take("{pmatrix}")) return Fail();
    std::vector<Expression> rows;
    do {
      if (Command() == "end") break;  // behind a last "\\"
      std::vector<Expression> row;
      do {
        row.push_back(Sum());
      } while (!has_failed_ && Take("&"));
      rows.push_back(Node(Kind::kList, std::move(row)));
    } while (!has_failed_ && Take("\\\\"));
    if (!TakeCommand("end") || !Take("{pmatrix}")) return Fail();
    return Node(Kind::kMatrix, std::move(rows));
  }

  const std::string_view text_;
  size_t at_ = 0;
  bool has_failed_ = false;
  bool is_in_words_ = false;  // between quotes
  bool has_thousands_ = false;
  int depth_ = 0;
  int num_open_brackets_ = 0;
  int num_open_bars_ = 0;
  int num_factorials_ = 0;
};

}  // namespace

std::optional<Expression> ParseExpression(std::string_view normalized) {
  if (normalized.empty() || normalized.size() > kMaxLength) return std::nullopt;
  return Parser(normalized).Run();
}

}  // namespace weft::eval
