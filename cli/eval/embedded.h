// Files beside this one, as text in the binary.
#pragma once

#include <string_view>

namespace weft::eval {

extern const std::string_view kArithmetic;  // arithmetic.jsonl: the problems that ship
extern const std::string_view kPage;        // page.html: with __RUN__ where the data go

}  // namespace weft::eval
