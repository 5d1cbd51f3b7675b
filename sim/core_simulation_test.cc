// Runs seeds of the core's simulation.
//
//   core_simulation_test                 what `make test` runs
//   core_simulation_test --seeds=100000  more of them; WEFT_SOAK=1 does likewise
//   core_simulation_test --seed=4711     one history again
#include "sim/core_simulation.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "sim/seeds.h"

namespace weft::sim {
namespace {

TEST(CoreSimulation, HoldsItsInvariantsThroughEveryHistory) {
  SimulationReport total;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
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
  if (seeds.count < 100) return;
  // A history in which nothing happens proves nothing.
  EXPECT_GT(total.num_preemptions, 10 * seeds.count);
  EXPECT_GT(total.num_cached_tokens, 100 * seeds.count);
  EXPECT_GT(total.num_worker_losses, seeds.count / 2);
  EXPECT_GT(total.num_scheduler_losses, seeds.count / 10);
  EXPECT_GT(total.num_requeued, seeds.count / 2);
  EXPECT_GT(total.num_discarded_tokens, seeds.count);
  EXPECT_GT(total.num_prompt_rows, seeds.count);
  EXPECT_GT(total.num_parked_seen, seeds.count);
  EXPECT_GT(total.num_owed_seen, seeds.count);
  EXPECT_GT(total.num_errors_by_value, seeds.count / 10);
  EXPECT_GT(total.num_errors_by_loss, seeds.count / 100);
  for (const int64_t ends : total.num_ends) EXPECT_GT(ends, seeds.count / 10);
}

TEST(CoreSimulation, OneSeedHasOneHistory) {
  for (uint64_t seed = seeds.first; seed < seeds.first + 3; ++seed) {
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

int main(int argc, char** argv) { return weft::sim::RunSeeds(argc, argv); }
