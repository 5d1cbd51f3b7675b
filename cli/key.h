// `weft key NAME`: an API key, and its entry for --api-key-file.
#pragma once

namespace weft::cli {

// The subcommand; returns the exit code. The entry goes to standard output, the key to
// standard error: it is shown once, and is in no file that a redirection makes.
int Key(int argc, const char* const* argv);

}  // namespace weft::cli
