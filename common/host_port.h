// Hosts and ports in one string, as gRPC and URLs take them: an IPv6 address stands in
// brackets, "[fd00::7]:7000".
#pragma once

#include <string>
#include <string_view>

namespace weft {

// `host` is a name or an address, without brackets.
std::string JoinHostPort(std::string_view host, int port);

// `address` with `default_port` unless it names one: "pod" and "fd00::7" do not.
std::string WithPort(std::string_view address, int default_port);

}  // namespace weft
