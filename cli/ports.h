// Free TCP ports on this machine, for processes that must be told theirs.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

namespace weft::cli {

// `count` different ports that nobody listens on, below those that the kernel
// gives to outgoing connections: such a one could take the port before its process
// does. Unavailable if there are not as many.
absl::StatusOr<std::vector<int>> FreePorts(int count);

}  // namespace weft::cli
