#include "worker/engine/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::worker {
namespace {

using ::testing::HasSubstr;

// 100 bytes a block of 16 tokens, a model with a context of 1,000 (63 blocks).
KvRequest Request(KvRequest r) {
  r.bytes_per_block = 100;
  r.model_context = 1000;
  if (r.max_num_seqs == 0) r.max_num_seqs = 4;
  return r;
}

TEST(PlanKv, AutomaticTakesWhatAllSequencesCouldFill) {
  const auto plan = PlanKv(Request({.spare_bytes = 1 << 20}));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 4 * 63);
  EXPECT_EQ(plan->max_context_tokens, 1000);
}

TEST(PlanKv, AutomaticTakesNoMoreThanIsSpare) {
  const auto plan = PlanKv(Request({.spare_bytes = 999}));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 9);
  EXPECT_EQ(plan->max_context_tokens, 9 * 16) << "a context that the pool holds";
}

TEST(PlanKv, AutomaticIsBounded) {
  KvRequest request = {.bytes_per_block = 1 << 20,
                       .spare_bytes = int64_t{1} << 40,
                       .max_automatic_bytes = int64_t{4} << 30,
                       .model_context = 131072,
                       .max_num_seqs = 64};
  const auto plan = PlanKv(request);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 4096);
}

TEST(PlanKv, ExplicitBytesAreTakenAsTheyAre) {
  const auto plan = PlanKv(Request({.bytes = 100'000}));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_blocks, 1000);
}

TEST(PlanKv, AskedContextMustFitModelAndPool) {
  EXPECT_EQ(PlanKv(Request({.spare_bytes = 1 << 20, .max_model_len = 1001})).status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto small = PlanKv(Request({.bytes = 500, .max_model_len = 100}));
  EXPECT_EQ(small.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(small.status().message()), HasSubstr("holds 80 tokens"));
  EXPECT_TRUE(PlanKv(Request({.bytes = 700, .max_model_len = 100})).ok());
  EXPECT_EQ(PlanKv(Request({.spare_bytes = -5})).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(HostMemory, AvailableIsSomeOfTotal) {
  const auto memory = ReadHostMemory();
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_GT(memory->available_bytes, 0);
  EXPECT_LE(memory->available_bytes, memory->total_bytes);
}

}  // namespace
}  // namespace weft::worker
