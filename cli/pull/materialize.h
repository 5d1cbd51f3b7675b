// A snapshot as a plain folder, for what shall not see the cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace weft::pull {

// Whether a file can be in both without taking twice the space.
bool AreOnOneFileSystem(const std::string& a, const std::string& b);

// The named files of `snapshot` in `folder`, each whole or not there. Weights are hard links where
// that is possible; the rest, which people edit, is copied. What is there already stays.
// FailedPrecondition if the folder holds weights that are not among `names`: a model would be
// mixed of two.
absl::Status Materialize(const std::string& snapshot, const std::vector<std::string>& names,
                         const std::string& folder);

}  // namespace weft::pull
