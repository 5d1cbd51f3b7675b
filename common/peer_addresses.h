// Where the schedulers of a group are dialled, of which one leads.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace weft {

// Thread safety: none.
class PeerAddresses {
 public:
  // "host:port", or several with commas between.
  explicit PeerAddresses(std::string_view list) {
    for (const auto address : absl::StrSplit(absl::string_view(list.data(), list.size()), ',')) {
      addresses_.emplace_back(absl::StripAsciiWhitespace(address));
    }
  }

  // One that does not lead has named who does. (It may be wrong: asked for once.)
  void Redirect(std::string leader) { leader_ = std::move(leader); }

  // Whom to dial next: the leader if one was named, else one after another.
  std::string Next() {
    if (!leader_.empty()) return std::exchange(leader_, {});
    return addresses_[next_++ % addresses_.size()];
  }

 private:
  std::vector<std::string> addresses_;
  size_t next_ = 0;
  std::string leader_;
};

}  // namespace weft
