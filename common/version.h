// The version of every binary, /version and build_info.
#pragma once

#include <string_view>

namespace weft {

inline constexpr std::string_view kVersion = WEFT_VERSION;

}  // namespace weft
