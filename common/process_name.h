// What tells a process from any other, before it or beside it.
#pragma once

#include <string>

namespace weft {

// "<host>-<pid>-<nanoseconds of the wall clock>", another with each call: ask once.
std::string UniqueProcessName();

}  // namespace weft
