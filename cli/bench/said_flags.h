// Which flags a command line says. For flags that take each other's place: the
// environment may hold defaults for many runs, and counts for nothing here.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace weft::bench {

class SaidFlags {
 public:
  SaidFlags(int argc, const char* const* argv);

  bool Has(const std::string& flag) const;
  const std::vector<std::string>& flags() const { return flags_; }

  // InvalidArgument if `flag` stands beside one of `others`: it names both, and `why` says
  // what makes the other meaningless.
  absl::Status Exclude(const std::string& flag, std::initializer_list<const char*> others,
                       const std::string& why) const;

 private:
  std::vector<std::string> flags_;  // without their values
};

}  // namespace weft::bench
