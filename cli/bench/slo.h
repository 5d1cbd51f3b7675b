// The bounds that a good request keeps: what goodput counts.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace weft::bench {

// Upper bounds in milliseconds.
struct Slo {
  std::optional<double> ttft;
  std::optional<double> tpot;
  std::optional<double> itl;  // the mean of the request's gaps
  std::optional<double> e2el;
};

// The value of --slo: "ttft=200ms,itl=25ms", or as vLLM has it, "ttft:200 itl:25"; empty is
// no bound at all.
absl::StatusOr<Slo> ParseSlo(const std::string& text);

}  // namespace weft::bench
