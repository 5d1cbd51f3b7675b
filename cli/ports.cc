#include "cli/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>

namespace weft::cli {
namespace {

// Linux's ip_local_port_range starts at 32768.
constexpr int kFirstPort = 20'000;
constexpr int kLastPort = 32'767;
constexpr int kMaxTries = 1'000;

// Bound on every address, as whoever uses the port may listen on any.
bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool is_free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return is_free;
}

}  // namespace

absl::StatusOr<std::vector<int>> FreePorts(int count) {
  // By chance, so that two stacks that start at once do not race for the same.
  std::random_device random;
  std::vector<int> ports;
  for (int i = 0; i < kMaxTries && static_cast<int>(ports.size()) < count; ++i) {
    const int port = std::uniform_int_distribution(kFirstPort, kLastPort)(random);
    if (std::find(ports.begin(), ports.end(), port) == ports.end() && IsFree(port)) {
      ports.push_back(port);
    }
  }
  if (static_cast<int>(ports.size()) < count) {
    return absl::UnavailableError("no free TCP ports between 20000 and 32767");
  }
  return ports;
}

}  // namespace weft::cli
