#include "common/host_port.h"

namespace weft {

std::string JoinHostPort(std::string_view host, int port) {
  std::string joined(host);
  if (host.find(':') != std::string_view::npos) joined = "[" + joined + "]";
  return joined + ":" + std::to_string(port);
}

std::string WithPort(std::string_view address, int default_port) {
  if (!address.empty() && address.front() == '[') {
    return address.back() == ']' ? std::string(address) + ":" + std::to_string(default_port)
                                 : std::string(address);
  }
  const bool names_port =
      address.find(':') != std::string_view::npos && address.find(':') == address.rfind(':');
  return names_port ? std::string(address) : JoinHostPort(address, default_port);
}

}  // namespace weft
