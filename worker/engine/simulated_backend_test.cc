#include "worker/engine/simulated_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace weft::worker {
namespace {

using ::testing::HasSubstr;

SimulatedOptions Small() {
  return {.speed = 1e6, .kv_bytes = 100 * 16 * 28672, .vocab_size = 1000, .max_num_seqs = 4};
}

std::unique_ptr<Backend> Make(const SimulatedOptions& options) {
  auto backend = MakeSimulatedBackend(options);
  EXPECT_TRUE(backend.ok()) << backend.status();
  return *std::move(backend);
}

StepCommand Enter(int slot, std::vector<TokenId> tokens, int num_prompt_tokens,
                  SamplingParams sampling) {
  const int num_tokens = static_cast<int>(tokens.size());
  StepCommand command{.step_id = 1};
  command.entries.push_back({.slot = slot,
                             .tokens = std::move(tokens),
                             .num_prompt_tokens = num_prompt_tokens,
                             .sampling = std::move(sampling)});
  command.rows.push_back({.slot = slot, .num_tokens = num_tokens, .new_blocks = {slot}});
  return command;
}

StepCommand Decode(int slot) {
  StepCommand command{.step_id = 2};
  command.rows.push_back({.slot = slot, .num_tokens = 1});
  return command;
}

TEST(SimulatedBackend, OutputIsAFunctionOfSeedAndIndexWhereverItRuns) {
  const SamplingParams sampling{.seed = 42};
  auto first = Make(Small());
  std::vector<TokenId> output;
  output.push_back(first->Execute(Enter(0, {1, 2, 3}, 3, sampling))->rows[0].tokens.at(0));
  for (int i = 0; i < 5; ++i) output.push_back(first->Execute(Decode(0))->rows[0].tokens.at(0));
  // Another worker goes on behind the second token, in another slot.
  auto second = Make(Small());
  auto resumed = second->Execute(Enter(3, {1, 2, 3, output[0], output[1]}, 3, sampling));
  EXPECT_EQ(resumed->rows[0].tokens.at(0), output[2]);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(output[i], SimulatedOutput(sampling, i, 1000));
}

TEST(SimulatedBackend, NoStopTokenIsEverSampled) {
  SamplingParams sampling{.seed = 7};
  for (int i = 0; i < 64; ++i) {
    sampling.stop_token_ids.push_back(SimulatedOutput({.seed = 7}, i, 1000));
  }
  for (int i = 0; i < 64; ++i) {
    EXPECT_THAT(sampling.stop_token_ids,
                testing::Not(testing::Contains(SimulatedOutput(sampling, i, 1000))));
  }
}

TEST(SimulatedBackend, ABrokenContractIsRefusedAndChangesNothing) {
  auto backend = Make(Small());
  EXPECT_EQ(backend->Execute(Decode(0)).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(backend->Execute(Enter(0, {1, 2}, 2, {.seed = 1})).ok());
  EXPECT_EQ(backend->Execute(Enter(0, {1}, 1, {})).status().code(),
            absl::StatusCode::kInvalidArgument);
  auto next = backend->Execute(Decode(0));
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->rows[0].tokens.at(0), SimulatedOutput({.seed = 1}, 1, 1000));
}

TEST(SimulatedBackend, ResetEmptiesEverySlot) {
  auto backend = Make(Small());
  ASSERT_TRUE(backend->Execute(Enter(0, {1, 2}, 2, {})).ok());
  backend->Reset();
  EXPECT_FALSE(backend->Execute(Decode(0)).ok());
  EXPECT_TRUE(backend->Execute(Enter(0, {1, 2}, 2, {})).ok());
}

TEST(SimulatedBackend, LogprobsComeOnlyWhereAsked) {
  auto backend = Make(Small());
  EXPECT_TRUE(backend->Execute(Enter(0, {1}, 1, {}))->rows[0].logprobs.empty());
  auto result = backend->Execute(Enter(1, {1}, 1, {.num_logprobs = 3}));
  ASSERT_EQ(result->rows[0].logprobs.size(), 1u);
  EXPECT_EQ(result->rows[0].logprobs[0].top_tokens.size(), 3u);
}

TEST(SimulatedBackend, AStepTakesAsLongAsTheRooflineSays) {
  SimulatedOptions options = Small();
  options.speed = 0.1;  // 3 GB of weights in 4.3e12 B/s: 0.7 ms, tenfold
  auto backend = Make(options);
  const auto started = std::chrono::steady_clock::now();
  auto result = backend->Execute(Enter(0, {1}, 1, {}));
  const auto took = std::chrono::steady_clock::now() - started;
  EXPECT_GE(took, std::chrono::milliseconds(6));
  EXPECT_GE(result->forward_us, 6000);
}

TEST(SimulatedBackend, WrongOptionsAreNamed) {
  SimulatedOptions options = Small();
  options.gpu = "Voodoo";
  EXPECT_THAT(MakeSimulatedBackend(options).status().message(), HasSubstr("Voodoo"));
  options = {.gpu = "T4", .shape = {.body_parameters = 14e9, .kv_bytes_per_token = 1e5}};
  EXPECT_EQ(MakeSimulatedBackend(options).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace weft::worker
