#include "cli/compare/roofline.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::compare {
namespace {

constexpr double kRounding = 0.01;

std::string WithPrefix(double value, const char* unit) {
  const char* prefix = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (value < 1000) break;
    value /= 1000;
    prefix = next;
  }
  return absl::StrFormat("%.4g %s%s", value, prefix, unit);
}

// max(3.087 GB / 4.3 TB/s, 3.087 GFLOP / 790 TFLOP/s) + max(…) = 0.721 ms: the terms of
// sim::StepSeconds.
std::string StepArithmetic(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                           const sim::StepLoad& load) {
  const std::string bandwidth = WithPrefix(gpu.bytes_per_second, "B/s");
  const std::string peak = WithPrefix(gpu.flops_per_second, "FLOP/s");
  const auto longer = [&](double bytes, double flops) {
    return absl::StrCat("max(", WithPrefix(bytes, "B"), " / ", bandwidth, ", ",
                        WithPrefix(flops, "FLOP"), " / ", peak, ")");
  };
  const double matrix_flops =
      2 * (shape.body_parameters * static_cast<double>(load.num_tokens) +
           shape.head_parameters * static_cast<double>(load.num_sampled_rows));
  return absl::StrFormat(
      "%s + %s = %.4g ms", longer(sim::WeightBytes(shape), matrix_flops),
      longer(shape.kv_bytes_per_token * static_cast<double>(load.num_kv_tokens_read),
             shape.attention_flops_per_pair * static_cast<double>(load.num_attention_pairs)),
      1e3 * sim::StepSeconds(gpu, shape, load));
}

}  // namespace

const sim::GpuRoofline* FindDevice(std::string_view name) {
  for (const std::string_view vendor : {"NVIDIA ", "Tesla "}) {
    if (name.starts_with(vendor)) name.remove_prefix(vendor.size());
  }
  return sim::FindGpu(name);
}

bool Bound::IsPassedBy(double figure) const {
  return is_upper ? figure > value * (1 + kRounding) : figure < value * (1 - kRounding);
}

Bound MostTokensPerSecond(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                          int num_sequences, int num_context_tokens) {
  sim::StepLoad load;
  for (int i = 0; i < num_sequences; ++i) load.AddRow(num_context_tokens, 1, true);
  const double seconds = sim::StepSeconds(gpu, shape, load);
  Bound bound{.is_upper = true, .value = num_sequences / seconds};
  bound.arithmetic =
      absl::StrFormat("%s; %d / %.4g ms = %.4g tok/s", StepArithmetic(gpu, shape, load),
                      num_sequences, 1e3 * seconds, bound.value);
  return bound;
}

Bound LeastTtftMs(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                  int num_prompt_tokens) {
  sim::StepLoad load;
  load.AddRow(0, num_prompt_tokens, true);
  return {.is_upper = false,
          .value = 1e3 * sim::StepSeconds(gpu, shape, load),
          .arithmetic = StepArithmetic(gpu, shape, load)};
}

}  // namespace weft::compare
