// The best figures that a model can reach on a device, and the arithmetic behind them.
// A measured figure beyond its bound is not a fast server but a mistake in what was
// measured: another batch, quantized weights, cached prompts, tokens that were not
// computed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/step_time.h"

namespace weft::compare {

// As a driver names it ("NVIDIA H200", "Tesla T4") or sim/step_time.h does. nullptr: no
// device that is known, so nothing bounds its figures.
const sim::GpuRoofline* FindDevice(std::string_view name);

// Of one figure.
struct Bound {
  bool is_upper = true;  // of a rate; false: of a time
  double value = 0;      // tokens a second, or milliseconds
  // How it came about, in numbers and units alone, so that it reads in any language.
  std::string arithmetic;

  // `figure` in the bound's unit. Within 5% it does not pass: a device's bandwidth in
  // sim/step_time.h is what a copy was measured to move, and reading alone moves a little
  // more.
  bool IsPassedBy(double figure) const;
};

// The most tokens a second of `num_sequences` that decode side by side, each with
// `num_context_tokens` behind it (the mean over an answer: time is linear in it).
// `shape.bytes_per_weight` says what is read.
Bound MostTokensPerSecond(const sim::GpuRoofline& gpu, const sim::ModelShape& shape,
                          int num_sequences, int num_context_tokens);

// The least time to the first token of a prompt that nothing is cached of.
Bound LeastTtftMs(const sim::GpuRoofline& gpu, const sim::ModelShape& shape, int num_prompt_tokens);

}  // namespace weft::compare
