#include "common/admin_server.h"

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct AdminServerTest : ::testing::Test {
  void SetUp() override {
    auto started =
        AdminServer::Start("127.0.0.1", 0, metrics,
                           {.ready = [this] { return ready; }, .drain = [this] { ++drains; }});
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }

  std::string Ask(const std::string& request_line) {
    boost::asio::io_context context;
    boost::asio::ip::tcp::socket socket(context);
    socket.connect(
        {boost::asio::ip::make_address("127.0.0.1"), static_cast<uint16_t>(server->port())});
    boost::asio::write(
        socket,
        boost::asio::buffer(request_line + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    std::string answer;
    boost::system::error_code error;
    boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);
    return answer;
  }

  Metrics metrics{"gateway"};
  absl::Status ready = absl::UnavailableError("loading weights");
  std::atomic<int> drains{0};
  std::unique_ptr<AdminServer> server;
};

TEST_F(AdminServerTest, IsAliveBeforeItIsReady) {
  EXPECT_THAT(Ask("GET /healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Ask("GET /readyz"), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("loading weights")));
  ready = absl::OkStatus();
  EXPECT_THAT(Ask("GET /readyz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, ShowsMetricsInPrometheusFormat) {
  EXPECT_THAT(Ask("GET /metrics"), AllOf(HasSubstr("version=0.0.4"), HasSubstr("weft_build_info")));
}

TEST_F(AdminServerTest, DrainsOnPostAndGet) {
  EXPECT_THAT(Ask("HEAD /drain"), StartsWith("HTTP/1.1 405"));
  EXPECT_EQ(drains, 0);
  EXPECT_THAT(Ask("POST /drain"), StartsWith("HTTP/1.1 202"));
  EXPECT_EQ(drains, 1);
  EXPECT_THAT(Ask("GET /drain"), StartsWith("HTTP/1.1 202"));
  EXPECT_EQ(drains, 2);
}

TEST_F(AdminServerTest, AnUnknownPathNamesTheKnownOnes) {
  EXPECT_THAT(Ask("GET /metric"), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("/metrics")));
}

TEST_F(AdminServerTest, ATakenPortIsAnErrorThatNamesIt) {
  auto second = AdminServer::Start("127.0.0.1", server->port(), metrics, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr(std::to_string(server->port())));
}

}  // namespace
}  // namespace weft
