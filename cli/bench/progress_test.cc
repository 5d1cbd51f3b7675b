#include "cli/bench/progress.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

TEST(Progress, TellsWhatIsNewSinceTheLastLine) {
  const LoadProgress before{.elapsed_s = 11.5, .num_text_events = 1000};
  const LoadProgress now{.elapsed_s = 12, .num_ended = 96, .num_open = 14, .num_text_events = 2050};
  EXPECT_EQ(ProgressLine("rate 8", 400, before, now),
            "rate 8: 12 s, 96 of 400 requests over, 14 open, 2100 events/s");
  EXPECT_EQ(ProgressLine("", 1, {}, {}), "0 s, 0 of 1 requests over, 0 open, 0 events/s");
}

}  // namespace
}  // namespace weft::bench
