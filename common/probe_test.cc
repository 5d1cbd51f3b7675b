#include "common/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "common/admin_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
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
  Metrics metrics("test");
  auto server = AdminServer::Start("127.0.0.1", 0, metrics, {});
  ASSERT_TRUE(server.ok());
  const int port = (*server)->port();
  server->reset();
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

// The exit code, and what it says.
std::pair<int, std::string> RunProbe(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "probe");
  testing::internal::CaptureStderr();
  const int exit_code = ProbeMain("weft-test", 1, arguments.size(), arguments.data());
  return {exit_code, testing::internal::GetCapturedStderr()};
}

TEST(ProbeMain, ExitsAsTheProcessIsReady) {
  Metrics metrics("test");
  absl::Status ready = absl::UnavailableError("no worker attached");
  auto server = AdminServer::Start("127.0.0.1", 0, metrics, {.ready = [&] { return ready; }});
  ASSERT_TRUE(server.ok());
  const std::string flag = "--admin-port=" + std::to_string((*server)->port());
  const auto [exit_code, text] = RunProbe({flag.c_str()});
  EXPECT_EQ(exit_code, 1);
  EXPECT_THAT(text, testing::HasSubstr("weft-test probe: not ready: no worker attached"));
  ready = absl::OkStatus();
  EXPECT_EQ(RunProbe({flag.c_str()}), std::pair(0, std::string()));
  server->reset();
  EXPECT_THAT(RunProbe({flag.c_str()}).second, testing::HasSubstr("nobody answers"));
  EXPECT_EQ(RunProbe({"--port=1"}).first, 2);
}

}  // namespace
}  // namespace weft
