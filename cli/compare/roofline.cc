#include "cli/compare/roofline.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::compare {
namespace {

constexpr double kTolerance = 0.05;

std::string WithPrefix(double value, const char* unit) {
  const char* prefix = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (value < 1000) break;
    value /= 1000;
    prefix = next;
  }
  return absl::StrFormat("%.4g %s%s", value, prefix, unit);
}

// What a step cannot be faster than, whoever runs it: all that is read at the full
// bandwidth while all that is computed is computed at the full peak. sim::StepSeconds,
// which a step is expected to take, adds attention behind the matrices.
struct LeastStep {
  double seconds = 0;
  // max((3.087 GB + 14.7 MB) / 4.3 TB/s, 3.1 GFLOP / 790 TFLOP/s) = 0.721 ms
  std::string arithmetic;
};

LeastStep LeastStepOf(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                      const sim::StepLoad& load) {
  const sim::StepCost cost = sim::CostOf(shape, load);
  const double flops = cost.matrix_flops + cost.attention_flops;
  LeastStep least;
  least.seconds = std::max((cost.weight_bytes + cost.kv_bytes) / gpu.bytes_per_second,
                           flops / gpu.flops_per_second);
  least.arithmetic = absl::StrFormat(
      "max((%s + %s) / %s, %s / %s) = %.4g ms", WithPrefix(cost.weight_bytes, "B"),
      WithPrefix(cost.kv_bytes, "B"), WithPrefix(gpu.bytes_per_second, "B/s"),
      WithPrefix(flops, "FLOP"), WithPrefix(gpu.flops_per_second, "FLOP/s"), 1e3 * least.seconds);
  return least;
}

}  // namespace

const sim::GpuRoofline* FindDevice(std::string_view name) {
  for (const std::string_view vendor : {"NVIDIA ", "Tesla "}) {
    if (name.starts_with(vendor)) name.remove_prefix(vendor.size());
  }
  return sim::FindGpu(name);
}

bool Bound::IsPassedBy(double figure) const {
  return is_upper ? figure > value * (1 + kTolerance) : figure < value * (1 - kTolerance);
}

Bound MostTokensPerSecond(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                          int num_sequences, int num_context_tokens) {
  sim::StepLoad load;
  for (int i = 0; i < num_sequences; ++i) load.AddRow(num_context_tokens, 1, true);
  const LeastStep least = LeastStepOf(gpu, shape, load);
  Bound bound{.is_upper = true, .value = num_sequences / least.seconds};
  bound.arithmetic = absl::StrFormat("%s; %d / %.4g ms = %.4g tok/s", least.arithmetic,
                                     num_sequences, 1e3 * least.seconds, bound.value);
  return bound;
}

Bound LeastTtftMs(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                  int num_prompt_tokens) {
  sim::StepLoad load;
  load.AddRow(0, num_prompt_tokens, true);
  LeastStep least = LeastStepOf(gpu, shape, load);
  return {
      .is_upper = false, .value = 1e3 * least.seconds, .arithmetic = std::move(least.arithmetic)};
}

}  // namespace weft::compare
