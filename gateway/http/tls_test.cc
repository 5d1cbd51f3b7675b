#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "gateway/http/raw_client.h"
#include "gateway/http/server.h"
#include "gateway/http/tls_context.h"
#include "gateway/http/tls_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::http {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
namespace fs = std::filesystem;

constexpr int kLargeBytes = 8 << 20;  // more than any socket takes at once

// Sends what it is given, when it is given it.
struct OpenStream : Exchange {
  struct Shared {
    std::mutex mutex;
    std::string text;
    Waker waker;
  };
  explicit OpenStream(std::shared_ptr<Shared> given) : shared(std::move(given)) {}
  void Advance(ResponseWriter& writer) override {
    std::lock_guard lock(shared->mutex);
    if (shared->text.empty()) return;
    if (!writer.started()) writer.BeginStream(200, "text/event-stream");
    writer.body() += std::exchange(shared->text, "");
  }
  const std::shared_ptr<Shared> shared;
};

struct TlsTest : ::testing::Test {
  TlsTest() : folder(fs::path(::testing::TempDir()) / absl::StrCat("tls", getpid())) {
    signal(SIGPIPE, SIG_IGN);
    fs::create_directories(folder);
    options.host = "127.0.0.1";
    options.port = 0;
    options.stall_timeout_s = 1;
    options.limits.head_timeout = std::chrono::milliseconds(200);
    options.limits.idle_timeout = std::chrono::milliseconds(600);
    options.tls = {.cert = folder / "cert.pem", .key = folder / "key.pem"};
    WriteCertificate(options.tls, "first");
    auto started = HttpServer::Start(options, metrics, [this](HttpRequest request, Waker waker) {
      if (request.path == "/stream") {
        stream->waker = std::move(waker);
        return Routed{std::make_unique<OpenStream>(stream), "/stream"};
      }
      std::string body = absl::StrCat(request.path, " ", request.body.size());
      if (request.path == "/large") body.assign(kLargeBytes, 'x');
      return Routed{Answer({.content_type = "text/plain", .body = std::move(body)}), "/echo"};
    });
    if (!started.ok()) ADD_FAILURE() << started.status();
    server = *std::move(started);
  }
  ~TlsTest() override {
    server.reset();
    fs::remove_all(folder);
  }

  void Say(const std::string& text) {
    Waker waker;
    {
      std::lock_guard lock(stream->mutex);
      stream->text = text;
      waker = stream->waker;
    }
    waker();
  }
  bool WaitFor(const std::string& metric) {
    for (int i = 0; i < 2000; ++i) {
      if (metrics.Text().find(metric) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  static std::string Get(const std::string& path) {
    return absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: a\r\n\r\n");
  }

  const fs::path folder;
  HttpOptions options;
  Metrics metrics{"gateway"};
  std::shared_ptr<OpenStream::Shared> stream = std::make_shared<OpenStream::Shared>();
  std::unique_ptr<HttpServer> server;
};

TEST_F(TlsTest, AnswersOneAfterTheOtherAndSaysGoodbye) {
  TlsClient client(server->port());
  ASSERT_TRUE(client.is_up());
  EXPECT_EQ(client.certificate_name(), "first");
  for (const char* path : {"/a", "/b"}) {
    ASSERT_TRUE(client.Send(Get(path)));
    EXPECT_THAT(client.ReadUntil(" 0"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith(" 0")));
  }
  ASSERT_TRUE(client.Send("GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  EXPECT_TRUE(client.GotGoodbye());
}

TEST_F(TlsTest, IdleConnectionsEndWithAGoodbyeToo) {
  TlsClient client(server->port());
  EXPECT_TRUE(client.GotGoodbye());
}

TEST_F(TlsTest, SpeaksTls12And13AndNothingOlder) {
  EXPECT_EQ(TlsClient(server->port()).protocol(), "TLSv1.3");
  EXPECT_EQ(TlsClient(server->port(), {.max_version = TLS1_2_VERSION}).protocol(), "TLSv1.2");
  EXPECT_FALSE(TlsClient(server->port(), {.max_version = TLS1_1_VERSION}).is_up());
  EXPECT_TRUE(WaitFor("weft_gateway_tls_handshakes_failed_total 1"));
}

TEST_F(TlsTest, NegotiatesHttp11OrNothing) {
  EXPECT_EQ(TlsClient(server->port(), {.alpn = "\x02h2\x08http/1.1"}).alpn(), "http/1.1");
  EXPECT_EQ(TlsClient(server->port()).alpn(), "");
  EXPECT_FALSE(TlsClient(server->port(), {.alpn = "\x02h2"}).is_up());
}

TEST_F(TlsTest, PipelinedRequestsAndLargeBodiesArrive) {
  TlsClient client(server->port());
  std::string wire;
  constexpr int kRequests = 500;
  for (int i = 0; i < kRequests; ++i) absl::StrAppend(&wire, Get(absl::StrCat("/", i)));
  std::thread sender([&] { EXPECT_TRUE(client.Send(wire)); });
  sender.join();
  std::string answers;
  const std::string last = absl::StrCat("/", kRequests - 1, " 0");
  answers = client.ReadUntil(last);
  EXPECT_THAT(answers, EndsWith(last));
  const std::string body(1'500'000, 'x');
  ASSERT_TRUE(client.Send(absl::StrCat(
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(), "\r\n\r\n", body)));
  EXPECT_THAT(client.ReadUntil("/body 1500000"), EndsWith("/body 1500000"));
}

TEST_F(TlsTest, SaysContinueToWhoWaitsForIt) {
  TlsClient client(server->port());
  client.Send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hi");
  EXPECT_THAT(client.ReadUntil("/a 2"), EndsWith("/a 2"));
}

// The socket fills up in the middle of a record, again and again.
TEST_F(TlsTest, ALargeAnswerReachesASlowReaderWhole) {
  TlsClient client(server->port(), {.receive_buffer = 8 << 10});
  ASSERT_TRUE(client.Send(Get("/large")));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::string answer = client.ReadUntil("\r\n\r\n");
  size_t size = answer.size() - answer.find("\r\n\r\n") - 4;
  char buffer[3000];
  size_t n = 0;
  while (size < kLargeBytes && SSL_read_ex(client.ssl(), buffer, sizeof buffer, &n) == 1) {
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(buffer[i], 'x');
    size += n;
  }
  EXPECT_EQ(size, static_cast<size_t>(kLargeBytes));
}

TEST_F(TlsTest, AReaderThatStopsIsCutOff) {
  TlsClient client(server->port(), {.receive_buffer = 4 << 10});
  ASSERT_TRUE(client.Send(Get("/large")));
  EXPECT_TRUE(WaitFor("weft_gateway_http_slow_clients_cut_total 1"));
}

// TLS 1.3 lets either side ask for new keys at any time, also while an answer waits for room.
TEST_F(TlsTest, KeysMayBeRenewedUnderWay) {
  TlsClient client(server->port());
  ASSERT_TRUE(client.Send(Get("/stream")));
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(client.ssl()), 1);
    while (stream->waker == nullptr) std::this_thread::yield();
    Say(absl::StrCat("part ", i, "\n"));
    EXPECT_THAT(client.ReadUntil(absl::StrCat("part ", i, "\n")), HasSubstr("part"));
  }
}

TEST_F(TlsTest, HttpWithoutTlsIsToldSo) {
  RawClient client(server->port());
  client.Send(Get("/a"));
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("https://")));
  EXPECT_TRUE(client.closed());
}

TEST_F(TlsTest, WhatIsNoTlsAtAllIsClosed) {
  RawClient client(server->port());
  client.Send("\x01\x02\x03\x04 this is nothing\r\n\r\n");
  client.ReadAll();
  EXPECT_TRUE(client.closed());
}

TEST_F(TlsTest, AHandshakeThatTricklesIsCutOff) {
  RawClient silent(server->port());
  RawClient slow(server->port());
  const auto begin = std::chrono::steady_clock::now();
  // The start of a ClientHello of 512 bytes, which never ends.
  const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  std::thread trickle([&] {
    for (const char c : hello + std::string(40, 'a')) {
      if (!slow.Send(std::string(1, c))) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_TRUE(silent.closed());
  slow.ReadAll();
  EXPECT_TRUE(slow.closed());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(550));
  trickle.join();
  EXPECT_TRUE(server->WaitIdle(absl::Seconds(1)));
}

TEST_F(TlsTest, ANewCertificateIsForNewConnections) {
  TlsClient old(server->port());
  ASSERT_TRUE(old.Send(Get("/stream")));
  while (stream->waker == nullptr) std::this_thread::yield();
  Say("before\n");
  old.ReadUntil("before\n");
  WriteCertificate({.cert = options.tls.cert, .key = ""}, "half");  // no pair yet
  ASSERT_TRUE(WaitFor("weft_gateway_tls_reloads_total{result=\"error\"} 1"));
  EXPECT_EQ(TlsClient(server->port()).certificate_name(), "first");
  WriteCertificate(options.tls, "second");
  ASSERT_TRUE(WaitFor("weft_gateway_tls_reloads_total{result=\"ok\"} 1"));
  EXPECT_EQ(TlsClient(server->port()).certificate_name(), "second");
  Say("after\n");
  EXPECT_THAT(old.ReadUntil("after\n"), HasSubstr("after\n"));
  EXPECT_EQ(old.certificate_name(), "first");
}

TEST_F(TlsTest, AsksForACertificateOfItsAuthorities) {
  const TlsFiles friendly{.cert = folder / "friend.pem", .key = folder / "friend.key"};
  const TlsFiles foreign{.cert = folder / "foreign.pem", .key = folder / "foreign.key"};
  WriteCertificate(friendly, "friend");
  WriteCertificate(foreign, "foreign");
  options.tls.ca = folder / "ca.pem";
  fs::copy_file(friendly.cert, options.tls.ca);
  server.reset();
  auto started = HttpServer::Start(options, metrics, [](const HttpRequest&, const Waker&) {
    return Routed{Answer({.content_type = "text/plain", .body = "in"}), "/in"};
  });
  ASSERT_TRUE(started.ok()) << started.status();
  server = *std::move(started);
  // TLS 1.3 tells a client of the refusal only behind its own part of the handshake.
  const auto answer = [&](const TlsFiles& own, int version) {
    TlsClient client(server->port(), {.max_version = version, .own = own});
    if (!client.is_up()) return std::string("refused");
    client.Send(Get("/in"));
    const std::string read = client.ReadUntil("in");
    return read.empty() ? std::string("refused") : read.substr(read.size() - 2);
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_EQ(answer(friendly, version), "in");
    EXPECT_EQ(answer(foreign, version), "refused");
    EXPECT_EQ(answer({}, version), "refused");
  }
  fs::copy_file(foreign.cert, options.tls.ca, fs::copy_options::overwrite_existing);
  ASSERT_TRUE(WaitFor("weft_gateway_tls_reloads_total{result=\"ok\"} 1"));
  EXPECT_EQ(answer(foreign, TLS1_3_VERSION), "in");
  EXPECT_EQ(answer(friendly, TLS1_3_VERSION), "refused");
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  const auto says = [this](const TlsFiles& files, const std::string& what) {
    HttpOptions bad = options;
    bad.tls = files;
    const auto started = HttpServer::Start(bad, metrics, nullptr);
    ASSERT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument) << what;
    EXPECT_THAT(std::string(started.status().message()), HasSubstr(what));
  };
  const std::string cert = options.tls.cert, key = options.tls.key;
  says({.cert = cert}, "--tls-cert is given without --tls-key");
  says({.key = key}, "--tls-key is given without --tls-cert");
  says({.cert = "/nowhere/cert", .key = key}, "--tls-cert /nowhere/cert");
  says({.cert = cert, .key = "/nowhere/key"}, "--tls-key /nowhere/key");
  says({.cert = key, .key = key}, "--tls-cert");
  says({.ca = cert}, "--tls-client-ca is given without");
  says({.cert = cert, .key = key, .ca = "/nowhere/ca"}, "--tls-client-ca /nowhere/ca");
  says({.cert = cert, .key = key, .ca = key}, "--tls-client-ca");
  const TlsFiles other{.cert = folder / "other.pem", .key = folder / "other.key"};
  WriteCertificate(other, "other");
  says({.cert = cert, .key = other.key}, "not that of --tls-cert");
  const TlsFiles expired{.cert = folder / "old.pem", .key = folder / "old.key"};
  WriteCertificate(expired, "old", /*days=*/-1);
  says(expired, "has expired");
}

TEST(TlsFlags, LandInTheOptions) {
  HttpOptions options;
  Flags flags("test", "");
  AddHttpFlags(flags, options);
  const char* line[] = {"test",  "--tls-cert",      "c.pem", "--tls-key",
                        "k.pem", "--tls-client-ca", "ca.pem"};
  EXPECT_EQ(flags.Parse(static_cast<int>(std::size(line)), line), std::nullopt);
  EXPECT_EQ(options.tls.cert, "c.pem");
  EXPECT_EQ(options.tls.key, "k.pem");
  EXPECT_EQ(options.tls.ca, "ca.pem");
}

}  // namespace
}  // namespace weft::http
