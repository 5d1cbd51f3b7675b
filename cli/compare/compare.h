// weft compare: renders a saved comparison.
#pragma once

namespace weft::compare {

// Exit code 0; 1 if a file cannot be written, 2 for bad arguments or a bad comparison.
int Compare(int argc, const char* const* argv);

}  // namespace weft::compare
