// `weft-worker bench`: how fast a model's steps are on this machine, with no network
// and no scheduler. What docs/benchmarks quotes.
#pragma once

namespace weft::worker {

// argv[0] is "bench". The exit code.
int BenchMain(int argc, const char* const* argv);

}  // namespace weft::worker
