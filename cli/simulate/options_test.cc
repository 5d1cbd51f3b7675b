#include "cli/simulate/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <vector>

#include "common/flags.h"
#include "worker/model/testing.h"

namespace weft::simulate {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::optional<int> Parse(std::vector<const char*> words, Options& options) {
  words.insert(words.begin(), "weft simulate");
  Flags flags("weft simulate", "Sizes.");
  AddSimulateFlags(flags, options);
  ::testing::internal::CaptureStderr();
  const std::optional<int> exit_code = flags.Parse(static_cast<int>(words.size()), words.data());
  ::testing::internal::GetCapturedStderr();
  return exit_code;
}

std::string ScenarioError(const Options& options) {
  return std::string(MakeScenario(options).status().message());
}

TEST(Options, BecomeAPoolAndItsTraffic) {
  Options options;
  ASSERT_EQ(Parse({"--num-prompts",
                   "10",
                   "--request-rate=inf",
                   "--random-input-len",
                   "uniform:7-9",
                   "--random-output-len=3",
                   "--prefix-len",
                   "100",
                   "--num-workers",
                   "3",
                   "--gpu",
                   "T4",
                   "--speed",
                   "2",
                   "--num-blocks",
                   "77",
                   "--enable-prefix-caching=false",
                   "--max-waiting",
                   "5",
                   "--max-mixed-step-ms",
                   "2.5",
                   "--max-concurrency",
                   "4",
                   "--slo",
                   "ttft=200ms,itl=25ms"},
                  options),
            std::nullopt);
  const Scenario scenario = MakeScenario(options).value();
  ASSERT_EQ(scenario.arrivals.size(), 10u);
  EXPECT_EQ(scenario.arrivals[9].at, 0);
  EXPECT_NEAR(scenario.arrivals[9].num_input_tokens, 108, 1);
  EXPECT_EQ(scenario.arrivals[9].num_output_tokens, 3);
  EXPECT_EQ(scenario.pool.num_workers, 3);
  EXPECT_EQ(scenario.pool.gpu.name, "T4");
  EXPECT_EQ(scenario.pool.speed, 2);
  EXPECT_EQ(scenario.pool.num_blocks, 77);
  EXPECT_EQ(scenario.pool.max_concurrency, 4);
  EXPECT_FALSE(scenario.pool.scheduler.enable_prefix_cache);
  EXPECT_EQ(scenario.pool.scheduler.max_waiting_sequences, 5);
  EXPECT_EQ(scenario.pool.scheduler.max_mixed_step, 2500);
  EXPECT_EQ(scenario.slo.ttft, 200);
  EXPECT_EQ(scenario.slo.itl, 25);
}

TEST(Options, GibibytesAreCountedInBlocks) {
  // 16 tokens of 28,672 bytes.
  EXPECT_EQ(MakeScenario({.kv_gib = 1}).value().pool.num_blocks, (1 << 30) / (16 * 28'672));
  EXPECT_EQ(MakeScenario({.gpu = "T4"}).value().pool.num_blocks, 24'659);
}

TEST(Options, RefuseWhatIsOutOfRange) {
  for (const char* flag : {"--num-prompts=0", "--request-rate=-1", "--gpu=H100", "--speed=0",
                           "--num-workers=0", "--num-blocks=-1", "--num-worker=2"}) {
    Options options;
    EXPECT_EQ(Parse({flag}, options), 2) << flag;
  }
}

TEST(Options, AnErrorNamesItsFlag) {
  EXPECT_THAT(ScenarioError({.random_input_len = "0"}), StartsWith("--random-input-len 0: "));
  EXPECT_THAT(ScenarioError({.random_output_len = "zipf"}),
              StartsWith("--random-output-len zipf: "));
  EXPECT_THAT(ScenarioError({.request_rate = 1e-9}), StartsWith("--request-rate 1e-09: "));
  EXPECT_THAT(ScenarioError({.max_num_seqs = 9, .max_num_batched_tokens = 8}),
              StartsWith("--max-num-batched-tokens 8: "));
  EXPECT_THAT(ScenarioError({.kv_gib = 1e-5}), StartsWith("--kv-gib 1e-05: that is 0 blocks"));
  EXPECT_THAT(ScenarioError({.num_blocks = 5, .kv_gib = 3}), HasSubstr("give one of them"));
  EXPECT_THAT(ScenarioError({.slo = "ttft=2s"}), StartsWith("--slo ttft=2s: "));
  EXPECT_THAT(ScenarioError({.trace = "/nowhere"}), StartsWith("--trace /nowhere: "));
}

TEST(Options, AModelsConfigSaysWhatATokenCosts) {
  const worker::testing::TempDir folder;
  EXPECT_THAT(ScenarioError({.model = folder.path()}),
              StartsWith("--model " + folder / "config.json"));
  // Keys and values of 2 layers with 2 heads of 16, in 16 bits.
  folder.Write("config.json", worker::testing::TinyModel().ConfigJson());
  const Scenario scenario = MakeScenario({.model = folder.path()}).value();
  EXPECT_EQ(scenario.pool.shape.kv_bytes_per_token, 2 * 2 * 2 * 16 * 2);

  const worker::testing::TinyModel large = {.vocab_size = 150'000,
                                            .hidden_size = 8192,
                                            .intermediate_size = 28'672,
                                            .num_layers = 80,
                                            .num_heads = 64,
                                            .num_kv_heads = 8};
  folder.Write("config.json", large.ConfigJson());
  EXPECT_THAT(ScenarioError({.model = folder.path(), .gpu = "T4"}), StartsWith("--gpu T4: of its"));
}

TEST(Options, ATraceIsReadAndItsErrorsNameTheLine) {
  const std::string file = ::testing::TempDir() + "/weft_simulate_trace.jsonl";
  std::ofstream(file) << "{\"at\": 5, \"input\": 70, \"output\": 3, \"prefix\": \"a\"}\n";
  const Scenario scenario = MakeScenario({.prefix_len = 32, .trace = file}).value();
  ASSERT_EQ(scenario.arrivals.size(), 1u);
  EXPECT_EQ(scenario.arrivals[0].num_input_tokens, 70);
  EXPECT_EQ(scenario.arrivals[0].num_prefix_tokens, 32);
  EXPECT_THAT(ScenarioError({.trace = file}), StartsWith("--trace " + file + " line 1: prefix"));
}

TEST(CheckTogether, SaysWhatHasNoMeaning) {
  const auto error = [](std::vector<const char*> words) {
    words.insert(words.begin(), "simulate");
    return std::string(CheckTogether(static_cast<int>(words.size()), words.data()).message());
  };
  EXPECT_EQ(error({"--trace", "file", "--num-workers=2", "--prefix-len", "9"}), "");
  EXPECT_EQ(error({"--seed", "1", "--num-prompts=3"}), "");
  EXPECT_EQ(error({"--replay=3"}), "");
  EXPECT_THAT(error({"--trace", "file", "--seed=3"}), StartsWith("--seed has no meaning beside"));
  EXPECT_THAT(error({"--trace", "file", "--burstiness", "2"}),
              StartsWith("--burstiness has no meaning beside"));
  EXPECT_THAT(error({"--gpu", "T4", "--replay", "3"}), StartsWith("--gpu has no meaning beside"));
}

TEST(ReplaySeed, IsAWholeNumber) {
  EXPECT_EQ(ReplaySeed({.replay = "18446744073709551615"}).value(), ~uint64_t{0});
  for (const char* wrong : {"-1", "1.5", "x", "18446744073709551616"}) {
    EXPECT_FALSE(ReplaySeed({.replay = wrong}).ok()) << wrong;
  }
}

}  // namespace
}  // namespace weft::simulate
