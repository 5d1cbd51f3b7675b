#include "sim/step_time.h"

#include <algorithm>
#include <cmath>

namespace weft::sim {
namespace {

constexpr GpuRoofline kGpus[] = {
    {.name = "H200", .bytes_per_second = 4.3e12, .flops_per_second = 790e12, .memory_bytes = 141e9},
    {.name = "T4", .bytes_per_second = 320e9, .flops_per_second = 65e12, .memory_bytes = 16e9},
    {.name = "CPU", .bytes_per_second = 40e9, .flops_per_second = 0.7e12, .memory_bytes = 16e9},
};

// SplitMix64's finalizer: every input bit reaches every output bit.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

const GpuRoofline* FindGpu(std::string_view name) {
  for (const GpuRoofline& gpu : kGpus) {
    if (gpu.name == name) return &gpu;
  }
  return nullptr;
}

ModelShape Qwen2_1_5B() {
  return {.body_parameters = 28 * 46.80e6,
          .head_parameters = 1536.0 * 151936,
          .bytes_per_weight = 2,
          .kv_bytes_per_token = 2.0 * 28 * 2 * 128 * 2,
          .attention_flops_per_pair = 4.0 * 12 * 128 * 28};
}

double WeightBytes(const ModelShape& shape) {
  return (shape.body_parameters + shape.head_parameters) * shape.bytes_per_weight;
}

double KvBytes(const GpuRoofline& gpu, const ModelShape& shape, double memory_utilization) {
  return gpu.memory_bytes * memory_utilization - WeightBytes(shape);
}

double BlocksInBytes(const ModelShape& shape, int block_tokens, double num_bytes) {
  return std::floor(num_bytes / (shape.kv_bytes_per_token * block_tokens));
}

StepCost CostOf(const ModelShape& shape, const StepLoad& load) {
  return {.weight_bytes = WeightBytes(shape),
          .kv_bytes = shape.kv_bytes_per_token * load.num_kv_tokens_read,
          .matrix_flops = 2 * (shape.body_parameters * load.num_tokens +
                               shape.head_parameters * load.num_sampled_rows),
          .attention_flops = shape.attention_flops_per_pair * load.num_attention_pairs};
}

double StepSeconds(const GpuRoofline& gpu, const ModelShape& shape, const StepLoad& load) {
  if (load.num_tokens == 0) return 0;
  const StepCost cost = CostOf(shape, load);
  return std::max(cost.weight_bytes / gpu.bytes_per_second,
                  cost.matrix_flops / gpu.flops_per_second) +
         std::max(cost.kv_bytes / gpu.bytes_per_second,
                  cost.attention_flops / gpu.flops_per_second);
}

TokenId SimulatedToken(uint64_t seed, uint64_t request, int output_index, int vocab_size) {
  const uint64_t word = Mix(Mix(Mix(seed) ^ request) ^ static_cast<uint64_t>(output_index));
  // The high half scaled to the range: no modulo bias worth naming.
  return static_cast<TokenId>(((word >> 32) * static_cast<uint64_t>(vocab_size)) >> 32);
}

}  // namespace weft::sim
