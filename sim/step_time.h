// How long a step takes on a GPU that is not there, and what it samples. One
// model for every simulation: the tests of the scheduler's core, the simulated
// worker, and `weft simulate`.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/sampling.h"

namespace weft::sim {

// What bounds a device: bytes it moves and multiply-adds it does, in a second,
// as reached by good kernels, not as advertised.
struct GpuRoofline {
  std::string_view name;
  double bytes_per_second = 0;
  double flops_per_second = 0;  // in the model's dtype, dense
  double memory_bytes = 0;
};

// "H200", "T4", "CPU" (two cores of a Zen 5); nullptr: no such name.
const GpuRoofline* FindGpu(std::string_view name);

// What of a model's shape costs time. All from its config.json.
struct ModelShape {
  double body_parameters = 0;  // read in every step, applied to every token
  double head_parameters = 0;  // applied to sampled rows only
  double bytes_per_weight = 2;
  double kv_bytes_per_token = 0;
  double attention_flops_per_pair = 0;  // one query token against one key, all layers
};

// 28 layers of 1536, 12 heads on 2 KV heads, 151,936 ids; 16-bit weights and KV.
ModelShape Qwen2_1_5B();

double WeightBytes(const ModelShape& shape);
// What the weights leave of a part of the GPU's memory; negative: nothing.
double KvBytes(const GpuRoofline& gpu, const ModelShape& shape, double memory_utilization);
// KV blocks of so many tokens that so many bytes hold.
double BlocksInBytes(const ModelShape& shape, int block_tokens, double num_bytes);

// A step's work, added up row by row.
struct StepLoad {
  int64_t num_tokens = 0;
  int64_t num_sampled_rows = 0;
  int64_t num_kv_tokens_read = 0;   // each row reads its context once
  int64_t num_attention_pairs = 0;  // (query, key) pairs, causal

  // A row that computes `num_tokens` behind `num_computed_tokens`.
  void AddRow(int64_t row_computed_tokens, int64_t row_tokens, bool samples) {
    num_tokens += row_tokens;
    num_sampled_rows += samples ? 1 : 0;
    num_kv_tokens_read += row_computed_tokens + row_tokens;
    num_attention_pairs += row_tokens * row_computed_tokens + row_tokens * (row_tokens + 1) / 2;
  }
};

// What that work reads and computes.
struct StepCost {
  double weight_bytes = 0;
  double kv_bytes = 0;
  double matrix_flops = 0;
  double attention_flops = 0;
};
StepCost CostOf(const ModelShape& shape, const StepLoad& load);

// max(weights / bandwidth, matrix flops / peak), and after it
// max(KV / bandwidth, attention flops / peak). No launch gaps, no host.
double StepSeconds(const GpuRoofline& gpu, const ModelShape& shape, const StepLoad& load);

// The token that a simulated sequence has at an output index: a function of its
// arguments alone, so that whoever knows them can check a stream. Uniform over
// [0, vocab_size). The simulated worker takes the request's sampling seed for
// `request` and 0 for `seed`.
TokenId SimulatedToken(uint64_t seed, uint64_t request, int output_index, int vocab_size);

}  // namespace weft::sim
