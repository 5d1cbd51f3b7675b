// Flags of traffic, as `weft bench` and `weft simulate` both have them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/pool/lengths.h"
#include "sim/pool/traffic.h"

namespace weft::bench {

// One in three hours: a million of them still fit a count of microseconds, with room.
inline constexpr double kMinRequestRate = 1e-4;

// Errors name `flag`.
absl::StatusOr<sim::LengthDistribution> ParseLengths(const char* flag, const std::string& text);

// --trace. Errors name the flag and the file.
absl::StatusOr<std::vector<sim::Arrival>> ReadTrace(const std::string& path, int prefix_len);

}  // namespace weft::bench
