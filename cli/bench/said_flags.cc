#include "cli/bench/said_flags.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::bench {

SaidFlags::SaidFlags(int argc, const char* const* argv) {
  for (const std::string& word : std::vector<std::string>(argv + 1, argv + argc)) {
    if (word.starts_with("--")) flags_.push_back(word.substr(0, word.find('=')));
  }
}

bool SaidFlags::Has(const std::string& flag) const {
  return std::find(flags_.begin(), flags_.end(), flag) != flags_.end();
}

absl::Status SaidFlags::Exclude(const std::string& flag, std::initializer_list<const char*> others,
                                const std::string& why) const {
  if (!Has(flag)) return absl::OkStatus();
  for (const char* other : others) {
    if (!Has(other)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(other, " has no meaning beside ", flag, ", ", why));
  }
  return absl::OkStatus();
}

}  // namespace weft::bench
