// A model's name on the hub.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace weft::pull {

struct ModelReference {
  std::string repo;               // "owner/name"
  std::string revision = "main";  // a branch, a tag or a commit

  std::string ToString() const { return repo + "@" + revision; }
};

// "hf://owner/name@revision"; scheme and revision may be left out. InvalidArgument for what the
// hub has no such names for, or what would leave the cache's folders.
absl::StatusOr<ModelReference> ParseReference(const std::string& text);

// 40 lower-case hexadecimal digits: a commit, which is its own name for ever.
bool IsCommit(const std::string& revision);

}  // namespace weft::pull
