// The request lengths of nano-vllm's bench.py, number for number: Python's random
// module with seed 0, 256 requests, prompts of 100 to 1024 ids and as many tokens out.
#pragma once

#include <vector>

#include "worker/bench/driver.h"

namespace weft::worker {

// 142,827 tokens in, 133,966 out; temperature 0.6.
std::vector<BenchSequence> NanoVllmWorkload();

}  // namespace weft::worker
