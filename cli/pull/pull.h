#pragma once

namespace weft::pull {

// `weft pull MODEL`: downloads a model of the hub and prints where it is. Returns the exit code: 0,
// 1 for a failure, 2 for a bad command, 128 + the signal that ended it.
int Pull(int argc, const char* const* argv);

}  // namespace weft::pull
