#include "gateway/http/request_reader.h"

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::http {
namespace {

using ::testing::HasSubstr;
using State = RequestReader::State;

const HttpLimits kLimits{.max_uri = 200,
                         .max_head = 1000,
                         .max_headers = 10,
                         .max_body = 1000,
                         .max_chunks = 100,
                         .max_chunk_extension = 50};

struct Outcome {
  int status = 0;  // of the refusal; 200: a request; 0: it waits for more
  HttpRequest request;
  std::string rest;
  std::string message;
};

// Feeds `wire` in pieces of `step` bytes.
Outcome Read(std::string_view wire, size_t step = 1'000'000) {
  RequestReader reader(kLimits);
  std::string inbox;
  while (!wire.empty()) {
    inbox += wire.substr(0, step);
    wire.remove_prefix(std::min(step, wire.size()));
    switch (reader.Advance(inbox)) {
      case State::kDone:
        return {200, reader.TakeRequest(), absl::StrCat(inbox, std::string(wire)), ""};
      case State::kRefused:
        return {reader.refusal().status, {}, inbox, reader.refusal().message};
      default:
        break;
    }
  }
  return {0, {}, inbox, ""};
}

std::string Head(const std::string& lines) {
  return absl::StrCat("POST /x HTTP/1.1\r\nHost: a\r\n", lines, "\r\n");
}
std::string Chunked(const std::string& body) {
  return Head("Transfer-Encoding: chunked\r\n") + body;
}

TEST(RequestReader, ReadsARequestInPiecesOfAnySize) {
  const std::string wire =
      "\r\nPOST /v1/models/a%2Fb?x=1 HTTP/1.1\r\nHost: a:1\r\nX-Thing:  two words \r\n"
      "Content-Length: 5\r\n\r\nhelloGET";
  for (size_t step = 1; step <= wire.size(); ++step) {
    const Outcome outcome = Read(wire, step);
    ASSERT_EQ(outcome.status, 200) << outcome.message;
    EXPECT_EQ(outcome.request.method, "POST");
    EXPECT_EQ(outcome.request.path, "/v1/models/a/b");
    EXPECT_EQ(outcome.request.query, "x=1");
    EXPECT_EQ(outcome.request.Header("x-thing"), "two words");
    EXPECT_EQ(outcome.request.body, "hello");
    EXPECT_EQ(outcome.rest, "GET");
    EXPECT_TRUE(outcome.request.keep_alive);
  }
}

TEST(RequestReader, ReadsChunksInPiecesOfAnySize) {
  const std::string wire = Chunked(
      "5;a=\"b c\"\r\nhello\r\n00000001\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest");
  for (size_t step = 1; step <= wire.size(); ++step) {
    const Outcome outcome = Read(wire, step);
    ASSERT_EQ(outcome.status, 200) << outcome.message << " in steps of " << step;
    EXPECT_EQ(outcome.request.body, "hello 0123456789");
    EXPECT_EQ(outcome.rest, "rest");
    EXPECT_EQ(outcome.request.Header("trailer"), "") << "a trailer is no header";
  }
}

TEST(RequestReader, Http10AsksForKeepAlive) {
  EXPECT_FALSE(Read("GET / HTTP/1.0\r\n\r\n").request.keep_alive);
  EXPECT_TRUE(Read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").request.keep_alive);
  EXPECT_FALSE(Read("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").request.keep_alive);
}

TEST(RequestReader, AnAbsoluteUriIsItsPath) {
  EXPECT_EQ(Read("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "/b");
  EXPECT_EQ(Read("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "/");
  EXPECT_EQ(Read("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").status, 400);
  EXPECT_EQ(Read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "*");
  EXPECT_EQ(Read("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n").status, 400);
}

struct Attack {
  const char* name;
  std::string wire;
  int status;
};

std::vector<Attack> Attacks() {
  const std::string te = "Transfer-Encoding: chunked\r\n";
  return {
      {"CL and TE", Head("Content-Length: 3\r\n" + te) + "0\r\n\r\n", 400},
      {"TE and CL", Head(te + "Content-Length: 3\r\n") + "0\r\n\r\n", 400},
      {"two different CLs", Head("Content-Length: 3\r\nContent-Length: 4\r\n"), 400},
      {"two equal CLs", Head("Content-Length: 3\r\nContent-Length: 3\r\n"), 400},
      {"a list of CLs", Head("Content-Length: 3, 3\r\n"), 400},
      {"CL with plus", Head("Content-Length: +5\r\n"), 400},
      {"negative CL", Head("Content-Length: -1\r\n"), 400},
      {"hexadecimal CL", Head("Content-Length: 0x5\r\n"), 400},
      {"CL with underscore", Head("Content-Length: 1_0\r\n"), 400},
      {"empty CL", Head("Content-Length: \r\n"), 400},
      {"CL of 2^63", Head("Content-Length: 9223372036854775808\r\n"), 400},
      {"CL of 2^64", Head("Content-Length: 18446744073709551616\r\n"), 400},
      {"CL over the limit", Head("Content-Length: 1001\r\n"), 413},
      {"chunked, identity", Head("Transfer-Encoding: chunked, identity\r\n"), 400},
      {"identity", Head("Transfer-Encoding: identity\r\n"), 400},
      {"gzip, chunked", Head("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"chunked twice in one", Head("Transfer-Encoding: chunked, chunked\r\n"), 400},
      {"two TEs", Head(te + te), 400},
      {"TE with a control byte",
       Head("Transfer-Encoding: \x0b"
            "chunked\r\n"),
       400},
      {"TE in HTTP/1.0", "POST / HTTP/1.0\r\n" + te + "\r\n", 400},
      {"chunk size 0_2e", Chunked("0_2e\r\n"), 400},
      {"chunk size -2", Chunked("-2\r\nab\r\n"), 400},
      {"chunk size +2", Chunked("+2\r\nab\r\n"), 400},
      {"chunk size 0x2", Chunked("0x2\r\nab\r\n"), 400},
      {"empty chunk size", Chunked("\r\nab\r\n"), 400},
      {"chunk of 2^64 + 2", Chunked("10000000000000002\r\nab\r\n"), 400},
      {"chunk of 2^63", Chunked("8000000000000000\r\nab\r\n"), 413},
      {"chunk longer than it says", Chunked("2\r\nabc\r\n0\r\n\r\n"), 400},
      {"chunk ended by LF", Chunked("2\nab\r\n0\r\n\r\n"), 400},
      {"chunk data ended by LF", Chunked("2\r\nab\n0\r\n\r\n"), 400},
      {"CR in a chunk extension", Chunked("2;a\rb\r\nab\r\n"), 400},
      {"LF in a chunk extension", Chunked("2;a\nb\r\nab\r\n"), 400},
      {"NUL in a chunk extension", Chunked(std::string("2;a\0b\r\nab\r\n", 11)), 400},
      {"long chunk extension", Chunked("2;" + std::string(60, 'a') + "\r\nab\r\n"), 400},
      {"endless chunk extension", Chunked("2;" + std::string(5000, 'a')), 400},
      {"quoted extension over two lines", Chunked("2;a=\"b\r\nc\"\r\nab\r\n"), 400},
      {"quoted extension without end", Chunked("2;a=\"b\r\n"), 400},
      {"0_2e with its trailer", Chunked("0_2e\r\n\r\n"), 400},
      {"LF in a trailer", Chunked("0\r\nX: a\nb\r\n\r\n"), 400},
      {"trailer without colon", Chunked("0\r\nX\r\n\r\n"), 400},
      {"endless trailer", Chunked("0\r\nX: " + std::string(5000, 'a')), 400},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare LF in headers", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
      {"bare CR", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
      {"CR in a value", Head("X: a\rb\r\n"), 400},
      {"NUL in a value", Head(std::string("X: a\0b\r\n", 8)), 400},
      {"DEL in a value", Head("X: a\x7f\r\n"), 400},
      {"blank before the colon", Head("X : a\r\n"), 400},
      {"blank before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"folded line", Head("X: a\r\n b\r\n"), 400},
      {"folded by a tab", Head("X: a\r\n\tb\r\n"), 400},
      {"no colon", Head("X\r\n"), 400},
      {"empty name", Head(": a\r\n"), 400},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", Head("Host: b\r\n"), 400},
      {"bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"large header", Head("X: " + std::string(1000, 'a') + "\r\n"), 431},
      {"header without end", Head("X: " + std::string(5000, 'a')), 431},
      {"many headers",
       Head("X: a\r\nX: a\r\nX: a\r\nX: a\r\nX: a\r\nX: a\r\nX: a\r\nX: a\r\nX: a\r\n"
            "X: a\r\n"),
       431},
      {"long URI", "GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
      {"URI without end", "GET /" + std::string(5000, 'a'), 414},
      {"non-ASCII URI", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505},
      {"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"no version", "GET /\r\n\r\n", 400},
      {"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
      {"version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"method is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"TLS hello", "\x16\x03\x01\x02", 400},
      {"unknown Expect", Head("Expect: 200-ok\r\n"), 417},
      {"gzip", Head("Content-Encoding: gzip\r\nContent-Length: 3\r\n") + "abc", 415},
      {"unknown encoding", Head("Content-Encoding: zip\r\nContent-Length: 3\r\n") + "abc", 415},
  };
}

TEST(RequestReader, RefusesEachAttackOnFraming) {
  for (const Attack& attack : Attacks()) {
    for (const size_t step : {size_t{1'000'000}, size_t{1}, size_t{7}}) {
      const Outcome outcome = Read(attack.wire, step);
      EXPECT_EQ(outcome.status, attack.status)
          << attack.name << " in steps of " << step << ": " << outcome.message;
    }
  }
}

TEST(RequestReader, LongTrailersAreRefusedHoweverTheyAreCut) {
  for (const size_t step : {size_t{1'000'000}, size_t{1}, size_t{7}}) {
    const auto with = [&](size_t length) {
      return Read(Chunked("1\r\na\r\n0\r\nX: " + std::string(length, 'a') + "\r\n\r\n"), step);
    };
    EXPECT_EQ(with(4096 - 9).status, 200) << step;  // with what stands around it 4,096
    EXPECT_EQ(with(4096 - 8).status, 400) << step;
  }
}

TEST(RequestReader, RefusesChunksWithoutNumber) {
  std::string body;
  for (int i = 0; i < 101; ++i) body += "1\r\na\r\n";
  const Outcome outcome = Read(Chunked(body + "0\r\n\r\n"));
  EXPECT_EQ(outcome.status, 413);
  EXPECT_THAT(outcome.message, HasSubstr("chunks"));
  std::string large;
  for (int i = 0; i < 50; ++i) absl::StrAppend(&large, "20\r\n", std::string(32, 'a'), "\r\n");
  EXPECT_EQ(Read(Chunked(large + "0\r\n\r\n")).status, 413);
}

// Whatever comes is a request, refused, or waits for more: and the same of these
// however the bytes are cut. (Which of several faults is named first may differ.)
TEST(RequestReader, MutatedRequestsReadTheSameHoweverTheyAreCut) {
  const char* given = std::getenv("WEFT_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("replay with WEFT_TEST_SEED=", seed));
  std::mt19937_64 random(seed);
  std::vector<std::string> seeds = {Head("Content-Length: 5\r\nExpect: 100-continue\r\n") + "hello",
                                    Chunked("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n")};
  for (const Attack& attack : Attacks()) seeds.push_back(attack.wire);
  constexpr std::string_view kBytes("\r\n :;,\0\t0aF-_+%/\x7f\xff", 19);
  for (int round = 0; round < 20000; ++round) {
    std::string wire = seeds[random() % seeds.size()];
    for (uint64_t edits = 1 + random() % 3; edits > 0 && !wire.empty(); --edits) {
      const size_t at = random() % wire.size();
      switch (random() % 4) {
        case 0:
          wire[at] = kBytes[random() % kBytes.size()];
          break;
        case 1:
          wire.erase(at, 1 + random() % 4);
          break;
        case 2:
          wire.insert(at, 1, kBytes[random() % kBytes.size()]);
          break;
        default:
          wire.insert(at, wire.substr(random() % wire.size(), random() % 30));
      }
    }
    const Outcome whole = Read(wire);
    const Outcome cut = Read(wire, 1 + random() % 9);
    ASSERT_EQ(whole.status >= 400, cut.status >= 400) << testing::PrintToString(wire);
    ASSERT_EQ(whole.status == 200, cut.status == 200) << testing::PrintToString(wire);
    ASSERT_EQ(whole.request.body, cut.request.body) << testing::PrintToString(wire);
    ASSERT_EQ(whole.rest, whole.status == 200 ? cut.rest : whole.rest);
  }
}

}  // namespace
}  // namespace weft::http
