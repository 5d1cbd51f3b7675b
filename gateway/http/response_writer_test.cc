#include "gateway/http/response_writer.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::http {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct ResponseWriterTest : ::testing::Test {
  std::string Wire() {
    ResponseWriter::Pieces pieces;
    if (!writer.Collect(pieces)) return "(nothing)";
    std::string wire;
    for (const std::string_view piece : pieces) wire += piece;
    writer.Sent();
    return wire;
  }
  HttpRequest request{.method = "GET", .id = "r1"};
  ResponseWriter writer{"Common: yes\r\n"};
};

TEST_F(ResponseWriterTest, AWholeAnswerHasItsLength) {
  writer.Reset(request, true);
  writer.Reply({.body = "{}", .headers = {{"Allow", "GET"}}});
  EXPECT_THAT(Wire(), AllOf(StartsWith("HTTP/1.1 200 OK\r\nDate: "),
                            HasSubstr("\r\nCommon: yes\r\n"), HasSubstr("Content-Length: 2\r\n"),
                            HasSubstr("Allow: GET\r\n"), HasSubstr("x-request-id: r1\r\n"),
                            Not(HasSubstr("Connection")), EndsWith("\r\n\r\n{}")));
  EXPECT_TRUE(writer.ended());
  EXPECT_EQ(Wire(), "(nothing)");
}

TEST_F(ResponseWriterTest, HeadGetsTheLengthButNoBody) {
  request.method = "HEAD";
  writer.Reset(request, true);
  writer.Reply({.body = "{}"});
  EXPECT_THAT(Wire(), AllOf(HasSubstr("Content-Length: 2\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(ResponseWriterTest, NoContentHasNoLength) {
  writer.Reset(request, true);
  writer.Reply({.status = 204});
  EXPECT_THAT(Wire(), AllOf(StartsWith("HTTP/1.1 204 "), Not(HasSubstr("Content-"))));
}

TEST_F(ResponseWriterTest, AStreamGoesInChunksOneForEachCollect) {
  writer.Reset(request, true);
  writer.BeginStream(200, "text/event-stream");
  EXPECT_THAT(Wire(), AllOf(HasSubstr("Transfer-Encoding: chunked\r\n"), EndsWith("\r\n\r\n")));
  EXPECT_EQ(Wire(), "(nothing)");
  writer.body() += "data: a\n\n";
  writer.body() += "data: b\n\n";
  EXPECT_EQ(Wire(), "12\r\ndata: a\n\ndata: b\n\n\r\n");
  writer.body() += "x";
  writer.End();
  EXPECT_EQ(Wire(), "1\r\nx\r\n0\r\n\r\n");
  EXPECT_EQ(Wire(), "(nothing)");
}

TEST_F(ResponseWriterTest, AStreamMayEndWithNothingMore) {
  writer.Reset(request, true);
  writer.BeginStream(200, "text/event-stream");
  writer.body() += "x";
  Wire();
  writer.End();
  EXPECT_EQ(Wire(), "0\r\n\r\n");
}

TEST_F(ResponseWriterTest, Http10StreamsUntilTheConnectionEnds) {
  request.minor_version = 0;
  writer.Reset(request, true);
  writer.BeginStream(200, "text/event-stream");
  writer.body() += "x";
  writer.End();
  EXPECT_THAT(Wire(), AllOf(Not(HasSubstr("chunked")), HasSubstr("Connection: close\r\n"),
                            EndsWith("\r\n\r\nx")));
  EXPECT_FALSE(writer.keeps_alive());
}

TEST_F(ResponseWriterTest, Http10IsToldThatTheConnectionStays) {
  request.minor_version = 0;
  writer.Reset(request, true);
  writer.Reply({.body = "x"});
  EXPECT_THAT(Wire(), HasSubstr("Connection: keep-alive\r\n"));
}

}  // namespace
}  // namespace weft::http
