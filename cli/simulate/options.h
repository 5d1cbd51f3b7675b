// What `weft simulate` is asked to do. Names and meanings are those of `weft bench`
// for the load, and of `weft serve` for the pool, where they have them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/bench/slo.h"
#include "sim/pool/pool_simulation.h"

namespace weft {
class Flags;
}

namespace weft::simulate {

struct Options {
  // The load.
  int num_prompts = 1000;
  double request_rate = 0;  // per second; 0 and infinity: all at once
  double burstiness = 1;
  int max_concurrency = 0;  // 0: unlimited
  std::string random_input_len = "512";
  std::string random_output_len = "256";
  int prefix_len = 0;
  int num_prefixes = 1;
  std::string trace;  // a file's name; empty: none
  uint64_t seed = 0;

  // The pool.
  std::string model;  // a folder that holds config.json; empty: R1-Distill-Qwen-1.5B's shape
  int num_workers = 1;
  std::string gpu = "H200";
  double speed = 1;
  int num_blocks = 0;  // of each worker; 0: by kv_gib
  double kv_gib = 0;   // of each worker; 0: what the weights leave of the GPU's memory
  int max_num_seqs = 256;
  int max_num_batched_tokens = 8192;
  double max_mixed_step_ms = core::Config{}.max_mixed_step * 1e-3;
  bool enable_prefix_caching = true;
  int max_waiting = core::Config{}.max_waiting_sequences;

  // The results.
  std::string slo;
  std::string json;  // a file's name; empty: none
  std::string svg;   // likewise

  std::string replay;  // a seed of the core's own simulation, instead of all that; empty: no
};

void AddSimulateFlags(Flags& flags, Options& options);

// Flags that take each other's place. Only what the command line says counts: the
// environment may hold defaults for many runs.
absl::Status CheckTogether(int argc, const char* const* argv);

// What --replay says.
absl::StatusOr<uint64_t> ReplaySeed(const Options& options);

// What they come to.
struct Scenario {
  sim::PoolOptions pool;
  std::vector<sim::Arrival> arrivals;
  bench::Slo slo;
};

// Reads --trace. An error names the flag that is wrong.
absl::StatusOr<Scenario> MakeScenario(const Options& options);

}  // namespace weft::simulate
