// `weft simulate`: what a pool of workers would do under given traffic, on simulated
// time.
#pragma once

namespace weft::simulate {

// The subcommand; returns the exit code: 0, 1 if a file could not be written or a
// replayed history broke a rule, 2 for bad arguments.
int Simulate(int argc, const char* const* argv);

}  // namespace weft::simulate
