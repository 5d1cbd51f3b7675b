#include "gateway/http/server.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "gateway/http/raw_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::http {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Says how many times it was made, and whether it is gone.
struct SilentExchange : Exchange {
  explicit SilentExchange(std::atomic<int>& living) : living(living) { ++living; }
  ~SilentExchange() override { --living; }
  void Advance(ResponseWriter&) override {}
  std::atomic<int>& living;
};

struct ThrowingExchange : Exchange {
  void Advance(ResponseWriter&) override { throw std::runtime_error("our bug"); }
};

struct ServerTest : ::testing::Test {
  void SetUp() override {
    options.host = "127.0.0.1";
    options.port = 0;
    options.limits.head_timeout = std::chrono::milliseconds(150);
    options.limits.body_stall = std::chrono::milliseconds(150);
    options.limits.body_timeout = std::chrono::milliseconds(600);
    options.limits.idle_timeout = std::chrono::milliseconds(400);
    options.limits.max_body = 100'000;
    auto started = HttpServer::Start(options, metrics, [this](HttpRequest request, Waker waker) {
      if (request.path == "/silent") {
        return Routed{std::make_unique<SilentExchange>(living), "/silent"};
      }
      if (request.path == "/throws") return Routed{std::make_unique<ThrowingExchange>(), "/throws"};
      (void)waker;
      return Routed{Answer({.content_type = "text/plain",
                            .body = absl::StrCat(request.method, " ", request.path, " ",
                                                 request.body.size())}),
                    "/echo"};
    });
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }

  // One connection, one answer, then the server's end of it.
  std::string Ask(const std::string& wire) {
    RawClient client(server->port());
    client.Send(wire);
    const std::string answer = client.ReadAll();
    EXPECT_TRUE(client.closed()) << "open after " << answer;
    return answer;
  }

  HttpOptions options;
  Metrics metrics{"gateway"};
  std::atomic<int> living{0};
  std::unique_ptr<HttpServer> server;
};

TEST_F(ServerTest, AnswersOneAfterTheOtherOnOneConnection) {
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(absl::StrCat("POST /", i, " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"));
    EXPECT_THAT(client.ReadAnswer(), EndsWith(absl::StrCat("POST /", i, " 2")));
  }
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  RawClient client(server->port());
  std::string wire;
  constexpr int kRequests = 2000;  // more than may wait unread at once
  for (int i = 0; i < kRequests; ++i) {
    absl::StrAppend(&wire, "GET /", i, " HTTP/1.1\r\nHost: a\r\nX: ", std::string(60, 'x'),
                    "\r\n\r\n");
  }
  std::thread sender([&] { client.Send(wire); });
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_THAT(client.ReadAnswer(), EndsWith(absl::StrCat("GET /", i, " 0")));
  }
  sender.join();
}

TEST_F(ServerTest, ClosesWhenTheClientAsksForIt) {
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Connection: close\r\n")));
  EXPECT_THAT(Ask("GET / HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, SaysContinueToWhoWaitsForIt) {
  RawClient client(server->port());
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hi");
  EXPECT_THAT(client.ReadAnswer(), EndsWith("POST / 2"));
  // Not to who has sent the body already.
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, RefusesWhatIsTooLargeBeforeItIsSent) {
  RawClient client(server->port());
  client.Send(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 413 "));
}

// The answer arrives though its client is still sending: a reset would lose it.
TEST_F(ServerTest, ARefusalReachesAClientThatIsStillSending) {
  for (const char* framing : {"Content-Length: 5000000", "Transfer-Encoding: chunked"}) {
    RawClient client(server->port());
    client.Send(absl::StrCat("POST / HTTP/1.1\r\nHost: a\r\n", framing, "\r\n\r\n"));
    const std::string piece = absl::StrCat("10000\r\n", std::string(0x10000, 'x'), "\r\n");
    for (int i = 0; i < 70; ++i) {
      if (!client.Send(piece)) break;
    }
    EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 413 ")) << framing;
  }
}

TEST_F(ServerTest, RefusalsCloseAndNothingBehindThemIsServed) {
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const auto& [status, head] : std::vector<std::pair<int, std::string>>{
           {400,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n"},
           {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
           {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0_2e\r\n"},
           {414, "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"},
           {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"},
           {431, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'a') + "\r\n\r\n"},
           {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
           {505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"}}) {
    const std::string answer = Ask(head + smuggled);
    EXPECT_THAT(answer, StartsWith(absl::StrCat("HTTP/1.1 ", status, " ")));
    EXPECT_THAT(answer, ::testing::Not(HasSubstr("smuggled")));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  }
}

TEST_F(ServerTest, AHeadThatTrickles408) {
  RawClient client(server->port());
  const auto begin = std::chrono::steady_clock::now();
  std::thread trickle([&] {
    for (const char c : std::string_view("GET / HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaa")) {
      if (!client.Send(std::string(1, c))) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(450));
  trickle.join();
}

TEST_F(ServerTest, ABodyThatStallsOrTrickles408) {
  RawClient client(server->port());
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
  RawClient slow(server->port());
  slow.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
  std::thread trickle([&] {
    for (int i = 0; i < 20 && slow.Send("x"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  EXPECT_THAT(slow.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
  trickle.join();
}

TEST_F(ServerTest, IdleConnectionsAreClosedWithoutAWord) { EXPECT_EQ(Ask(""), ""); }

TEST_F(ServerTest, AClientThatLeavesIsNoticedWhileNothingIsWritten) {
  auto client = std::make_unique<RawClient>(server->port());
  client->Send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
  while (living == 0) std::this_thread::yield();
  // Also behind what it has pipelined.
  client->Send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  client.reset();
  ASSERT_TRUE(server->WaitIdle(absl::Seconds(1)));
  EXPECT_EQ(living, 0);
  EXPECT_THAT(metrics.Text(), HasSubstr("weft_gateway_http_requests_total{code=\"499\","
                                        "route=\"/silent\"} 1"));
}

TEST_F(ServerTest, AnExceptionIsA500) {
  RawClient client(server->port());
  client.Send("GET /throws HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 500 "));
}

TEST_F(ServerTest, DrainFinishesAnswersAndClosesIdleConnections) {
  RawClient idle(server->port());
  idle.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  idle.ReadAnswer();
  RawClient busy(server->port());
  busy.Send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
  while (living == 0) std::this_thread::yield();
  server->Drain();
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(server->WaitIdle(absl::Milliseconds(50)));
  EXPECT_EQ(living, 1);
  server.reset();
  EXPECT_EQ(living, 0);
}

TEST_F(ServerTest, ATakenPortAndABadHostAreReported) {
  HttpOptions taken = options;
  taken.port = server->port();
  EXPECT_EQ(HttpServer::Start(taken, metrics, nullptr).status().code(),
            absl::StatusCode::kUnavailable);
  HttpOptions bad = options;
  bad.host = "999.1.1.1.1";
  EXPECT_EQ(HttpServer::Start(bad, metrics, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(HttpFlags, LandInTheOptions) {
  HttpOptions options;
  Flags flags("test", "");
  AddHttpFlags(flags, options);
  const char* line[] = {"test",   "--port",          "81",  "--max-body-bytes",
                        "123456", "--stall-timeout", "2.5", "--http-threads",
                        "3",      "--host",          "::1"};
  EXPECT_EQ(flags.Parse(static_cast<int>(std::size(line)), line), std::nullopt);
  EXPECT_EQ(options.port, 81);
  EXPECT_EQ(options.limits.max_body, 123456u);
  EXPECT_EQ(options.stall_timeout_s, 2.5);
  EXPECT_EQ(options.threads, 3);
  EXPECT_EQ(options.host, "::1");
}

TEST_F(ServerTest, StopsWhileClientsKeepComing) {
  std::atomic<bool> stop{false};
  std::thread clients([&, port = server->port()] {
    while (!stop) {
      const int fd = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(static_cast<uint16_t>(port));
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      (void)connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
      close(fd);
    }
  });
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    HttpOptions again = options;
    again.port = server->port();
    const auto begin = std::chrono::steady_clock::now();
    server.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    auto started = HttpServer::Start(again, metrics, [](HttpRequest, Waker) {
      return Routed{Answer({}), "/"};
    });
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }
  stop = true;
  clients.join();
}

TEST_F(ServerTest, ManyConnectionsAtOnceAreAllServed) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<RawClient>(server->port()));
  for (auto& client : clients) client->Send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
  for (auto& client : clients) EXPECT_THAT(client->ReadAnswer(), EndsWith("GET /a 0"));
  clients.clear();
  EXPECT_TRUE(server->WaitIdle(absl::Seconds(2)));
}

}  // namespace
}  // namespace weft::http
