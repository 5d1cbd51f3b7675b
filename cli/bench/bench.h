// `weft bench`: loads an OpenAI-compatible server and says how it held.
#pragma once

namespace weft::bench {

// The subcommand; returns the exit code: 0, 1 if a request failed or the server
// could not be loaded at all, 2 for bad arguments.
int Bench(int argc, const char* const* argv);

}  // namespace weft::bench
