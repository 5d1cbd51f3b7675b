// What an answer says, without how it is set: the same for "\left( 1, 2 \right)$" and "(1,2)".
#pragma once

#include <string>
#include <string_view>

namespace weft::eval {

// LaTeX that an expression is read from: no delimiters, sizes, spaces of TeX's or currency signs,
// \dfrac and \tfrac are \frac, Unicode's signs are TeX's. Words of \text{…} stand between double
// quotes: ` 5 "cm" `.
std::string Normalize(std::string_view answer);

// For comparing letter by letter: Normalize's, in lower case, without quotes and without spaces but
// those between digits; a number word is its number.
std::string Plain(std::string_view answer);

}  // namespace weft::eval
