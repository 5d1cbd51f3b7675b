#include "cli/eval/units.h"

#include <string>

#include "absl/strings/ascii.h"

namespace weft::eval {
namespace {

struct Unit {
  std::string_view word, name;
};
// Plurals in s are found without it.
constexpr Unit kUnits[] = {
    {"mm", "mm"},         {"millimeter", "mm"}, {"millimetre", "mm"}, {"cm", "cm"},
    {"centimeter", "cm"}, {"centimetre", "cm"}, {"m", "m"},           {"meter", "m"},
    {"metre", "m"},       {"km", "km"},         {"kilometer", "km"},  {"kilometre", "km"},
    {"inch", "inch"},     {"inches", "inch"},   {"in", "inch"},       {"foot", "foot"},
    {"feet", "foot"},     {"ft", "foot"},       {"yard", "yard"},     {"yd", "yard"},
    {"mile", "mile"},     {"mi", "mile"},       {"mg", "mg"},         {"milligram", "mg"},
    {"g", "g"},           {"gram", "g"},        {"kg", "kg"},         {"kilogram", "kg"},
    {"lb", "pound"},      {"pound", "pound"},   {"oz", "ounce"},      {"ounce", "ounce"},
    {"ton", "ton"},       {"ml", "ml"},         {"milliliter", "ml"}, {"l", "liter"},
    {"liter", "liter"},   {"litre", "liter"},   {"gallon", "gallon"}, {"quart", "quart"},
    {"pint", "pint"},     {"cup", "cup"},       {"s", "second"},      {"sec", "second"},
    {"second", "second"}, {"min", "minute"},    {"minute", "minute"}, {"h", "hour"},
    {"hr", "hour"},       {"hour", "hour"},     {"day", "day"},       {"week", "week"},
    {"month", "month"},   {"year", "year"},     {"yr", "year"},       {"mph", "mile/hour"},
    {"kmph", "km/hour"},  {"kph", "km/hour"},   {"degree", "degree"}, {"deg", "degree"},
    {"radian", "radian"}, {"rad", "radian"},    {"dollar", "dollar"}, {"usd", "dollar"},
    {"cent", "cent"},     {"percent", "%"},     {"pct", "%"},         {"unit", "unit"},
    {"acre", "acre"},     {"watt", "watt"},     {"joule", "joule"},   {"newton", "newton"}};

}  // namespace

std::string_view UnitName(std::string_view word) {
  const std::string lower = absl::AsciiStrToLower({word.data(), word.size()});
  for (const Unit& unit : kUnits) {
    if (unit.word.size() == 1 ? word == unit.word : lower == unit.word) return unit.name;
    if (unit.word.size() > 1 && lower.size() == unit.word.size() + 1 && lower.back() == 's' &&
        lower.starts_with(unit.word)) {
      return unit.name;
    }
  }
  return {};
}

}  // namespace weft::eval
