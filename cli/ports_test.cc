#include "cli/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"

namespace weft::cli {
namespace {

TEST(FreePorts, AreDifferentAndCanBeListenedOn) {
  const std::vector<int> ports = FreePorts(6).value();
  ASSERT_EQ(ports.size(), 6);
  std::vector<int> sockets;
  for (int port : ports) {
    sockets.push_back(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(bind(sockets.back(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  for (int fd : sockets) close(fd);
}

}  // namespace
}  // namespace weft::cli
