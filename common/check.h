// WEFT_CHECK(condition): our own bug if false. Prints the condition and where it
// stands, then aborts. Never used on anything that a client or a peer sends.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace weft {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace weft

#define WEFT_CHECK(condition) \
  (static_cast<bool>(condition) ? void() : ::weft::CheckFailed(#condition, __FILE__, __LINE__))
