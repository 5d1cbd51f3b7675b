#include "cli/simulate/options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/bench/said_flags.h"
#include "cli/bench/traffic_flags.h"
#include "common/flags.h"
#include "sim/model_shape.h"
#include "worker/model/model_config.h"
#include "worker/rpc/load.h"

namespace weft::simulate {
namespace {

constexpr double kGib = 1 << 30;

constexpr int kMaxBlocks = 10'000'000;

absl::StatusOr<std::vector<sim::Arrival>> DrawnTraffic(const Options& options) {
  auto input = bench::ParseLengths("--random-input-len", options.random_input_len);
  if (!input.ok()) return input.status();
  auto output = bench::ParseLengths("--random-output-len", options.random_output_len);
  if (!output.ok()) return output.status();
  if (options.request_rate > 0 && options.request_rate < bench::kMinRequestRate) {
    return absl::InvalidArgumentError(absl::StrCat("--request-rate ", options.request_rate,
                                                   ": it is at least ", bench::kMinRequestRate,
                                                   ", or 0 or inf for all at once"));
  }
  return sim::DrawTraffic({.num_requests = options.num_prompts,
                           .request_rate = options.request_rate,
                           .burstiness = options.burstiness,
                           .input = *input,
                           .output = *output,
                           .prefix_len = options.prefix_len,
                           .num_prefixes = options.num_prefixes,
                           .seed = options.seed});
}

// Of each worker, where --num-blocks does not say.
absl::StatusOr<int> NumBlocks(const Options& options, const sim::PoolOptions& pool) {
  const bool is_given = options.kv_gib > 0;
  const double bytes =
      is_given ? options.kv_gib * kGib
               : sim::KvBytes(pool.gpu, pool.shape, worker::LoadOptions().memory_utilization);
  const double num_blocks = sim::BlocksInBytes(pool.shape, core::kBlockTokens, bytes);
  if (is_given && (num_blocks < 1 || num_blocks > kMaxBlocks)) {
    const double block_gib = pool.shape.kv_bytes_per_token * core::kBlockTokens / kGib;
    return absl::InvalidArgumentError(
        absl::StrCat("--kv-gib ", options.kv_gib, ": that is ", num_blocks, " blocks of ",
                     block_gib, " GiB; it takes from 1 to ", kMaxBlocks, " of them"));
  }
  if (num_blocks < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--gpu ", options.gpu, ": of its ", pool.gpu.memory_bytes / kGib, " GiB the weights take ",
        sim::WeightBytes(pool.shape) / kGib, "; 9 tenths leave no room for KV"));
  }
  return static_cast<int>(std::min<double>(num_blocks, kMaxBlocks));
}

absl::StatusOr<sim::PoolOptions> MakePool(const Options& options) {
  sim::PoolOptions pool;
  if (!options.model.empty()) {
    auto config = worker::LoadModelConfig(options.model);
    if (!config.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--model ", config.status().message()));
    }
    pool.shape = sim::ShapeOf(*config);
  }
  pool.gpu = *sim::FindGpu(options.gpu);
  pool.speed = options.speed;
  pool.num_workers = options.num_workers;
  pool.num_blocks = options.num_blocks;
  pool.max_num_seqs = options.max_num_seqs;
  pool.max_num_batched_tokens = options.max_num_batched_tokens;
  pool.max_concurrency = options.max_concurrency;
  pool.scheduler.max_waiting_sequences = options.max_waiting;
  pool.scheduler.enable_prefix_cache = options.enable_prefix_caching;
  pool.scheduler.max_mixed_step = std::llround(1e3 * options.max_mixed_step_ms);
  if (options.max_num_batched_tokens < options.max_num_seqs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--max-num-batched-tokens ", options.max_num_batched_tokens, ": a step holds a token of ",
        "each of its sequences; it is at least --max-num-seqs, ", options.max_num_seqs));
  }
  if (options.num_blocks > 0 && options.kv_gib > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--kv-gib ", options.kv_gib, ": --num-blocks ", options.num_blocks,
                     " says how large the pool is; give one of them"));
  }
  if (pool.num_blocks == 0) {
    const auto num_blocks = NumBlocks(options, pool);
    if (!num_blocks.ok()) return num_blocks.status();
    pool.num_blocks = *num_blocks;
  }
  return pool;
}

}  // namespace

void AddSimulateFlags(Flags& flags, Options& options) {
  flags.Add("--num-prompts", options.num_prompts, "Requests", 1, 1'000'000);
  flags.Add("--request-rate", options.request_rate, "Arrivals per second; 0 or inf: all at once",
            0.0, std::numeric_limits<double>::infinity());
  flags.Add("--burstiness", options.burstiness,
            "Shape of the gaps, gamma: 1 is a Poisson process, less comes in bursts, more evenly",
            0.01, 1000.0);
  flags.Add("--max-concurrency", options.max_concurrency, "Requests at one time; 0: no limit", 0,
            1'000'000);
  flags.Add(
      "--random-input-len", options.random_input_len,
      "Tokens of each prompt: 512, uniform:100-2000, or lognormal:512,0.8 (median and sigma)");
  flags.Add("--random-output-len", options.random_output_len, "Tokens of each answer; likewise");
  flags.Add("--prefix-len", options.prefix_len,
            "Tokens before each prompt that it shares with others: a system prompt", 0, 1 << 20);
  flags.Add("--num-prefixes", options.num_prefixes, "Different ones of them, equally often", 1,
            1'000'000);
  flags.Add("--seed", options.seed, "Of lengths and arrivals: the same seed, the same results");
  flags.Add(
      "--trace", options.trace,
      "Recorded traffic, instead of drawn: JSON lines such as {\"at\": 0.5, \"input\": 812, "
      "\"output\": 240}, at in seconds; also prefix (an id), prefix_tokens, tenant, priority");

  flags.Add("--num-workers", options.num_workers, "GPUs, each with the whole model", 1, 1024);
  flags.AddChoice("--gpu", options.gpu, {"H200", "T4", "CPU"}, "Whose step times they have");
  flags.Add("--model", options.model,
            "Folder with the config.json of the model, in 16 bits (default: the shape of "
            "DeepSeek-R1-Distill-Qwen-1.5B)");
  flags.Add("--speed", options.speed, "How many times as fast as that", 0.001, 1000.0);
  flags.Add("--num-blocks", options.num_blocks,
            "KV blocks of 16 tokens of each worker; 0: by --kv-gib", 0, kMaxBlocks);
  flags.Add("--kv-gib", options.kv_gib,
            "KV memory of each worker in GiB; 0: what the weights leave of 9 tenths of the GPU's",
            0.0, 1e6);
  flags.Add("--max-num-seqs", options.max_num_seqs, "Sequences in one step", 1, 1 << 16);
  flags.Add("--max-num-batched-tokens", options.max_num_batched_tokens, "Tokens in one step", 1,
            1 << 24);
  flags.Add("--max-mixed-step-ms", options.max_mixed_step_ms,
            "Milliseconds that a step may take which computes prompts besides running answers; 0: "
            "no limit",
            0.0, 1e6);
  flags.AddSwitch("--enable-prefix-caching", options.enable_prefix_caching,
                  "Prompts share the KV blocks of equal beginnings; =false ends that");
  flags.Add("--max-waiting", options.max_waiting,
            "Sequences that may wait; beyond that they are rejected", 1, 1 << 24);

  flags.Add("--slo", options.slo,
            "Bounds that a good request keeps, as ttft=200ms,itl=25ms; of ttft, tpot, itl (the "
            "mean gap), e2el");
  flags.Add("--json", options.json, "File that gets the results, in the names of weft bench");
  flags.Add("--svg", options.svg, "File that gets the picture");

  flags.Add(
      "--replay", options.replay,
      "Instead of all that: this seed of both simulations of faults again, of the scheduler's core "
      "and of all tiers; exit code 1 if a rule was broken");
}

absl::Status CheckTogether(int argc, const char* const* argv) {
  const bench::SaidFlags said(argc, argv);
  absl::Status together =
      said.Exclude("--trace",
                   {"--num-prompts", "--request-rate", "--burstiness", "--random-input-len",
                    "--random-output-len", "--num-prefixes", "--seed"},
                   "whose requests are what they are");
  for (const std::string& flag : said.flags()) {
    if (flag == "--replay") continue;
    together.Update(said.Exclude("--replay", {flag.c_str()}, "whose seed decides everything"));
  }
  return together;
}

absl::StatusOr<uint64_t> ReplaySeed(const Options& options) {
  uint64_t seed = 0;
  if (absl::SimpleAtoi(options.replay, &seed)) return seed;
  return absl::InvalidArgumentError(absl::StrCat(
      "--replay ", options.replay, ": a seed is a whole number from 0 to 18446744073709551615"));
}

absl::StatusOr<Scenario> MakeScenario(const Options& options) {
  Scenario scenario;
  auto pool = MakePool(options);
  if (!pool.ok()) return pool.status();
  scenario.pool = *std::move(pool);
  auto slo = bench::ParseSlo(options.slo);
  if (!slo.ok()) return slo.status();
  scenario.slo = *slo;
  auto arrivals = options.trace.empty() ? DrawnTraffic(options)
                                        : bench::ReadTrace(options.trace, options.prefix_len);
  if (!arrivals.ok()) return arrivals.status();
  scenario.arrivals = *std::move(arrivals);
  return scenario;
}

}  // namespace weft::simulate
