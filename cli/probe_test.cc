#include "cli/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/ports.h"
#include "common/admin_server.h"
#include "gtest/gtest.h"

namespace weft::cli {
namespace {

Readiness Ask(int port) {
  Probe probe(port);
  while (true) {
    if (std::optional<Readiness> readiness = probe.Advance()) return *readiness;
    pollfd fd = {probe.fd(), probe.events(), 0};
    if (poll(&fd, 1, 10'000) != 1) return {.cause = "timeout"};
  }
}

TEST(Probe, HearsAnAdminServersReadinessAndItsCause) {
  Metrics metrics("test");
  absl::Status ready = absl::UnavailableError("no worker attached");
  auto server = AdminServer::Start("127.0.0.1", 0, metrics, {.ready = [&] { return ready; }});
  ASSERT_TRUE(server.ok());
  Readiness readiness = Ask((*server)->port());
  EXPECT_FALSE(readiness.is_ready);
  EXPECT_EQ(readiness.cause, "no worker attached");
  ready = absl::OkStatus();
  EXPECT_TRUE(Ask((*server)->port()).is_ready);
}

TEST(Probe, NobodyListeningIsNotReadyWithoutACause) {
  const int port = FreePorts(1).value().front();
  Readiness readiness = Ask(port);
  EXPECT_FALSE(readiness.is_ready);
  EXPECT_EQ(readiness.cause, "");
}

TEST(Probe, WhateverIsNoHttpIsNotReady) {
  EXPECT_FALSE(ReadAnswer("").is_ready);
  EXPECT_FALSE(ReadAnswer("HTTP/1.1 200 OK\r\n").is_ready) << "cut off";
  EXPECT_FALSE(ReadAnswer("200 200\r\n\r\n").is_ready);
  EXPECT_TRUE(ReadAnswer("HTTP/1.1 200 OK\r\n\r\nready\n").is_ready);
}

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
