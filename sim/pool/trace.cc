#include "sim/pool/trace.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/json_fields.h"

namespace weft::sim {
namespace {

// Seconds since 1970 are far below; milliseconds are above.
constexpr double kMaxSeconds = 1e10;

struct Recorded {
  double at_s = 0;
  Arrival arrival;
};

}  // namespace

absl::StatusOr<std::vector<Arrival>> ParseTrace(const std::string& source, const std::string& text,
                                                int default_prefix_tokens) {
  std::vector<Recorded> records;
  std::map<std::string, uint64_t> prefixes;  // numbered as they come
  int line_number = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    ++line_number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    auto fields = JsonFields::Parse(absl::StrCat(source, " line ", line_number), line);
    if (!fields.ok()) return fields.status();
    Recorded record{.at_s = fields->Number("at")};
    Arrival& arrival = record.arrival;
    arrival.num_input_tokens = static_cast<int>(fields->Int("input", {1, kMaxLength}));
    arrival.num_output_tokens = static_cast<int>(fields->Int("output", {1, kMaxLength}));
    arrival.tenant = fields->String("tenant", "");
    arrival.priority = static_cast<int>(fields->Int(
        "priority", {std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}, 0));
    const bool has_prefix = fields->Has("prefix");
    if (has_prefix) {
      arrival.prefix =
          prefixes.try_emplace(fields->String("prefix"), prefixes.size()).first->second;
      arrival.num_prefix_tokens =
          static_cast<int>(fields->Int("prefix_tokens", {1, std::max(1, arrival.num_input_tokens)},
                                       std::min(default_prefix_tokens, arrival.num_input_tokens)));
    }
    if (std::abs(record.at_s) > kMaxSeconds) fields->Refuse("at", "must be in seconds");
    if (has_prefix && arrival.num_prefix_tokens == 0) {
      fields->Refuse("prefix", "has no length: give prefix_tokens, or --prefix-len for all");
    }
    if (!fields->status().ok()) return fields->status();
    records.push_back(std::move(record));
  }
  if (records.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, " line 1: no request; one is {\"at\": 0.5, \"input\": 812, \"output\": 240}"));
  }

  std::stable_sort(records.begin(), records.end(),
                   [](const Recorded& a, const Recorded& b) { return a.at_s < b.at_s; });
  std::vector<Arrival> arrivals;
  arrivals.reserve(records.size());
  for (Recorded& record : records) {
    record.arrival.at = std::llround(1e6 * (record.at_s - records.front().at_s));
    arrivals.push_back(std::move(record.arrival));
  }
  return arrivals;
}

}  // namespace weft::sim
