// Where an answer stands in what a model has written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weft::eval {

// What the last whole \boxed{…} (or \fbox{…}) holds, braces matched as TeX matches them: an escaped
// one, \{, is a character. "\boxed 7" ends where the formula or the line does. A box that is never
// closed does not count; of nested ones the inner does.
std::optional<std::string> LastBoxed(std::string_view text);

// By which rule an answer was found; the first that finds one counts.
enum class Found {
  kBoxed,       // \boxed{42}
  kStated,      // "The answer is 42.", "#### 42"
  kLastNumber,  // the last number of the text
  kNowhere,
};

struct Extracted {
  Found found = Found::kNowhere;
  std::string answer;
};
Extracted Extract(std::string_view text);

const char* Name(Found found);

}  // namespace weft::eval
