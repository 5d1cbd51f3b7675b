// Runs seeds of the core's simulation.
//
//   core_simulation_test                 what `make test` runs
//   core_simulation_test --seeds=100000  more of them; WEFT_SOAK=1 does likewise
//   core_simulation_test --seed=4711     one history again
#include "sim/core_simulation.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft::sim {
namespace {

uint64_t first_seed = 1;
int num_seeds = std::getenv("WEFT_SOAK") != nullptr ? 100'000 : 2'000;

TEST(CoreSimulation, HoldsItsInvariantsThroughEveryHistory) {
  SimulationReport total;
  for (uint64_t seed = first_seed; seed < first_seed + num_seeds; ++seed) {
    const SimulationReport report = SimulateCore(seed);
    ASSERT_EQ(report.violation, "")
        << "replay with --seed=" << seed << " (event " << report.num_events << ")";
    total.Add(report);
  }
  std::printf(
      "%lld events, %lld requests (%lld completed, %lld cancelled, %lld timed out, %lld failed), "
      "%lld steps, %lld preemptions, %lld worker losses, %lld scheduler losses\n",
      (long long)total.num_events, (long long)total.num_requests,
      (long long)(total.num_ends[0] + total.num_ends[1]), (long long)total.num_ends[2],
      (long long)total.num_ends[3], (long long)total.num_ends[4], (long long)total.num_steps,
      (long long)total.num_preemptions, (long long)total.num_worker_losses,
      (long long)total.num_scheduler_losses);
  if (num_seeds < 100) return;
  // A history in which nothing happens proves nothing.
  EXPECT_GT(total.num_preemptions, 10 * num_seeds);
  EXPECT_GT(total.num_cached_tokens, 100 * num_seeds);
  EXPECT_GT(total.num_worker_losses, num_seeds / 2);
  EXPECT_GT(total.num_scheduler_losses, num_seeds / 10);
  EXPECT_GT(total.num_requeued, num_seeds / 2);
  EXPECT_GT(total.num_discarded_tokens, num_seeds);
  EXPECT_GT(total.num_prompt_rows, num_seeds);
  EXPECT_GT(total.num_parked_seen, num_seeds);
  EXPECT_GT(total.num_owed_seen, num_seeds);
  EXPECT_GT(total.num_errors_by_value, num_seeds / 10);
  EXPECT_GT(total.num_errors_by_loss, num_seeds / 100);
  for (const int64_t ends : total.num_ends) EXPECT_GT(ends, num_seeds / 10);
}

TEST(CoreSimulation, OneSeedHasOneHistory) {
  for (uint64_t seed = first_seed; seed < first_seed + 3; ++seed) {
    const SimulationReport a = SimulateCore(seed);
    const SimulationReport b = SimulateCore(seed);
    EXPECT_EQ(a.num_events, b.num_events) << seed;
    EXPECT_EQ(a.num_steps, b.num_steps) << seed;
    EXPECT_EQ(a.num_preemptions, b.num_preemptions) << seed;
    EXPECT_EQ(a.num_discarded_tokens, b.num_discarded_tokens) << seed;
  }
}

}  // namespace
}  // namespace weft::sim

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view flag = argv[i];
    const bool is_known =
        (absl::ConsumePrefix(&flag, "--seed=") && absl::SimpleAtoi(flag, &weft::sim::first_seed) &&
         (weft::sim::num_seeds = 1)) ||
        (absl::ConsumePrefix(&flag, "--seeds=") && absl::SimpleAtoi(flag, &weft::sim::num_seeds));
    if (!is_known) {
      std::fprintf(stderr, "unknown flag %s: --seed=N or --seeds=COUNT\n", argv[i]);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
