// Runs seeds of the simulation of faults.
//
//   fault_simulation_test                 what `make test` runs
//   fault_simulation_test --seeds=100000  more of them; WEFT_SOAK=1 does likewise
//   fault_simulation_test --seed=4711     one history again
#include "sim/faults/fault_simulation.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdio>

#include "sim/seeds.h"

namespace weft::sim {
namespace {

TEST(FaultSimulation, HoldsItsPromisesThroughEveryHistory) {
  FaultReport total;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    const FaultReport report = SimulateFaults(seed);
    ASSERT_EQ(report.violation, "")
        << "replay with --seed=" << seed << " (event " << report.num_events << ")";
    EXPECT_GE(report.num_events, 2000) << seed;
    EXPECT_GE(report.num_faults(), 3) << seed;
    EXPECT_GE(report.num_preemptions, 1) << seed;
    total.Add(report);
  }
  std::printf(
      "%lld events, %lld requests (%lld completed, %lld failed, %lld cancelled, %lld rejected, "
      "%lld reset with their gateway), %lld of them by several schedulers, %lld steps, %lld "
      "preemptions; faults: %lld crashes, %lld stops, %lld broken and %lld silent streams, %lld "
      "clock jumps, %lld ailing devices; %lld leader changes, %lld leaders drained, %lld "
      "handed over\n",
      (long long)total.num_events, (long long)total.num_requests, (long long)total.num_completed,
      (long long)total.num_failed, (long long)total.num_cancelled, (long long)total.num_rejected,
      (long long)total.num_reset, (long long)total.num_continued, (long long)total.num_steps,
      (long long)total.num_preemptions, (long long)total.num_crashes, (long long)total.num_stops,
      (long long)total.num_broken_links, (long long)total.num_silent_links,
      (long long)total.num_clock_jumps, (long long)total.num_ailments,
      (long long)total.num_leader_changes, (long long)total.num_drains,
      (long long)total.num_handovers);
  if (seeds.count < 100) return;
  // Faults that harm nobody prove nothing.
  EXPECT_GT(total.num_completed, 20 * seeds.count);
  EXPECT_GT(total.num_continued, seeds.count);
  EXPECT_GT(total.num_requeued, seeds.count);
  EXPECT_GT(total.num_leader_changes, seeds.count / 4);
}

TEST(FaultSimulation, OneSeedHasOneHistory) {
  for (uint64_t seed = seeds.first; seed < seeds.first + 3; ++seed) {
    const FaultReport a = SimulateFaults(seed);
    const FaultReport b = SimulateFaults(seed);
    EXPECT_EQ(a.num_events, b.num_events) << seed;
    EXPECT_EQ(a.num_steps, b.num_steps) << seed;
    EXPECT_EQ(a.num_completed, b.num_completed) << seed;
    EXPECT_EQ(a.num_preemptions, b.num_preemptions) << seed;
  }
}

}  // namespace
}  // namespace weft::sim

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);  // peers are lost all the time
  return weft::sim::RunSeeds(argc, argv);
}
