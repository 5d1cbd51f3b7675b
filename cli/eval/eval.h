// `weft eval`: how often the answers of a model behind any OpenAI-compatible server are right.
#pragma once

namespace weft::eval {

// The subcommand; returns the exit code: 0, 1 if the server or a file failed or an answer is
// missing, 2 for bad arguments, 128 + the signal's number once one has come.
int Eval(int argc, const char* const* argv);

}  // namespace weft::eval
