#include "cli/bench/slo.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft::bench {

absl::StatusOr<Slo> ParseSlo(const std::string& text) {
  Slo slo;
  const std::vector<std::string> parts =
      absl::StrSplit(text, absl::ByAnyChar(", "), absl::SkipEmpty());
  for (const std::string& part : parts) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(part, absl::MaxSplits(absl::ByAnyChar(":="), 1));
    std::optional<double>* bound = pair.first == "ttft"   ? &slo.ttft
                                   : pair.first == "tpot" ? &slo.tpot
                                   : pair.first == "itl"  ? &slo.itl
                                   : pair.first == "e2el" ? &slo.e2el
                                                          : nullptr;
    double ms = 0;
    if (bound == nullptr || !absl::SimpleAtod(absl::StripSuffix(pair.second, "ms"), &ms) ||
        !(ms >= 0)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--slo ", text, ": ", part,
          " is none of ttft=MS, tpot=MS, itl=MS, e2el=MS, with MS milliseconds from 0"));
    }
    *bound = ms;
  }
  return slo;
}

}  // namespace weft::bench
