#include "worker/bench/nano_workload.h"

#include <gtest/gtest.h>

namespace weft::worker {
namespace {

TEST(NanoVllmWorkload, HasTheLengthsThatPythonGives) {
  const auto sequences = NanoVllmWorkload();
  size_t num_in = 0, num_out = 0;
  for (const BenchSequence& sequence : sequences) {
    num_in += sequence.prompt.size();
    num_out += sequence.num_output_tokens;
  }
  EXPECT_EQ(sequences.size(), 256u);
  EXPECT_EQ(num_in, 142'827u);
  EXPECT_EQ(num_out, 133'966u);
}

}  // namespace
}  // namespace weft::worker
