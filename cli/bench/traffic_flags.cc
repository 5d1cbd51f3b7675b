#include "cli/bench/traffic_flags.h"

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"
#include "sim/pool/trace.h"

namespace weft::bench {
namespace {

// A trace is read whole.
constexpr int64_t kMaxTraceBytes = int64_t{1} << 30;

}  // namespace

absl::StatusOr<sim::LengthDistribution> ParseLengths(const char* flag, const std::string& text) {
  auto lengths = sim::LengthDistribution::Parse(text);
  if (lengths.ok()) return lengths;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " ", text, ": ", lengths.status().message()));
}

absl::StatusOr<std::vector<sim::Arrival>> ReadTrace(const std::string& path, int prefix_len) {
  const auto text = ReadFile(path, kMaxTraceBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--trace ", text.status().message()));
  }
  return sim::ParseTrace(absl::StrCat("--trace ", path), *text, prefix_len);
}

}  // namespace weft::bench
