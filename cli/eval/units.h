// Units that answers are given in.
#pragma once

#include <string_view>

namespace weft::eval {

// "centimeters" and "cm" are "cm"; empty: no unit. Case matters only for one letter.
std::string_view UnitName(std::string_view word);

}  // namespace weft::eval
