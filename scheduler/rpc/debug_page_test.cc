#include "scheduler/rpc/debug_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::scheduler {
namespace {

using core::Phase;
using ::testing::HasSubstr;

TEST(DebugPage, SaysThatNothingIsThere) {
  const std::string page = DebugPage({.term = 7});
  EXPECT_THAT(page, HasSubstr("term 7, 0 gateways"));
  EXPECT_THAT(page, HasSubstr("0 running, 0 waiting"));
}

TEST(DebugPage, SaysWhoRunsAndWhyOthersWait) {
  DebugFacts facts = {
      .worker_names = {{1, "host-1"}}, .term = 7, .num_gateways = 2, .now = 9'000'000};
  facts.snapshot.gauges = {.num_workers_ready = 1, .num_running = 1, .num_waiting_capacity = 1};
  facts.snapshot.workers = {{.id = 1,
                             .limits = {.num_blocks = 100,
                                        .max_rows = 8,
                                        .max_step_tokens = 2048,
                                        .max_steps_in_flight = 2},
                             .num_running = 1,
                             .num_steps_in_flight = 2,
                             .num_blocks_used = 90,
                             .num_blocks_free = 10,
                             .max_prompt_tokens = 1 << 30,
                             .num_lacking_blocks = 6}};
  facts.snapshot.sequences = {
      {.id = 41,
       .phase = Phase::kRunning,
       .worker = 1,
       .num_prompt_tokens = 512,
       .num_output_tokens = 3,
       .max_tokens = 256,
       .times = {.queued = 1'000'000, .first_scheduled = 1'500'000}},
      {.id = 42, .phase = Phase::kWaiting, .tenant = "acme", .times = {.queued = 4'000'000}},
      {.id = 43, .phase = Phase::kSuspect, .num_losses = 1, .deadline = 19'000'000}};
  facts.snapshot.num_left_out = 5;
  const std::string page = DebugPage(facts);
  EXPECT_THAT(page, HasSubstr("host-1"));
  EXPECT_THAT(page, HasSubstr("90 used"));
  EXPECT_THAT(page, HasSubstr("its next step takes at most 2048 of prompts"));
  EXPECT_THAT(page, HasSubstr("the first that waits lacks 6 blocks here"));
  EXPECT_THAT(page, HasSubstr("0.5 s    8.0 s  decode on host-1"));
  EXPECT_THAT(page, HasSubstr("5.0 s    5.0 s  waits for a row or for blocks"));
  EXPECT_THAT(
      page,
      HasSubstr("its trial: a worker died under it; 1 workers lost under it; deadline in 10.0 s"));
  EXPECT_THAT(page, HasSubstr("... and 5 more"));
}

}  // namespace
}  // namespace weft::scheduler
