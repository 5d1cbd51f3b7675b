#include "cli/bench/answer_parser.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

const std::string kStream =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
    "1c\r\ndata: {\"choices\":[{\"text\":\"a\r\n"
    "6\r\n\"}]}\n\n\r\n"
    "e\r\ndata: [DONE]\n\n\r\n"
    "0\r\n\r\n";

TEST(AnswerParser, AChunkedStreamGoesToTheScannerWhereverItIsCut) {
  for (size_t cut = 1; cut < kStream.size(); ++cut) {
    SCOPED_TRACE(cut);
    SseScanner scanner;
    AnswerParser parser(scanner);
    boost::beast::error_code error;
    const std::string first = kStream.substr(0, cut);
    const std::string rest = first.substr(parser.Advance(first, error)) + kStream.substr(cut);
    ASSERT_FALSE(error) << error.message();
    EXPECT_EQ(parser.Advance(rest, error), rest.size());
    ASSERT_FALSE(error) << error.message();
    EXPECT_TRUE(parser.is_done());
    EXPECT_TRUE(parser.keep_alive());
    EXPECT_EQ(parser.status(), 200);
    EXPECT_EQ(scanner.num_text_events(), 1);
    EXPECT_TRUE(scanner.is_done());
  }
}

TEST(AnswerParser, ARefusalKeepsItsBody) {
  SseScanner scanner;
  AnswerParser parser(scanner);
  boost::beast::error_code error;
  parser.Advance("HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong",
                 error);
  EXPECT_TRUE(parser.is_done());
  EXPECT_FALSE(parser.keep_alive());
  EXPECT_EQ(parser.status(), 400);
  EXPECT_EQ(parser.body(), "wrong");
}

TEST(AnswerParser, WhatIsNoHttpIsAnError) {
  SseScanner scanner;
  AnswerParser parser(scanner);
  boost::beast::error_code error;
  parser.Advance("SSH-2.0-OpenSSH_9.2p1\r\n\r\n", error);
  EXPECT_TRUE(error);
}

}  // namespace
}  // namespace weft::bench
