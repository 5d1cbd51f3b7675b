// An HTTP answer, read as its bytes come and copied nowhere: a stream's body goes
// straight to the scanner, any other is kept for its message.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <string>
#include <string_view>

#include "cli/bench/sse_scanner.h"

namespace weft::bench {

class AnswerParser : public boost::beast::http::basic_parser</*isRequest=*/false> {
 public:
  explicit AnswerParser(SseScanner& scanner);

  // Advances over as much as can be read; returns how much that was. The rest comes
  // again, with more behind it. `error` is set if this is no HTTP.
  size_t Advance(std::string_view bytes, boost::beast::error_code& error);

  int status() const { return status_; }  // 0: not read yet
  // Of an answer that is no event stream, up to kMaxBody.
  const std::string& body() const { return body_; }

 private:
  static constexpr size_t kMaxBody = 1 << 20;
  using Error = boost::beast::error_code;
  using Text = boost::beast::string_view;
  using OptionalSize = boost::optional<uint64_t>;

  void Take(Text bytes);

  void on_request_impl(boost::beast::http::verb, Text, Text, int, Error&) override {}
  void on_response_impl(int code, Text, int, Error&) override { status_ = code; }
  void on_field_impl(boost::beast::http::field name, Text, Text value, Error&) override;
  void on_header_impl(Error&) override {}
  void on_body_init_impl(const OptionalSize&, Error&) override {}
  size_t on_body_impl(Text bytes, Error&) override;
  void on_chunk_header_impl(uint64_t, Text, Error&) override {}
  size_t on_chunk_body_impl(uint64_t, Text bytes, Error&) override;
  void on_finish_impl(Error&) override {}

  SseScanner& scanner_;
  int status_ = 0;
  bool is_stream_ = false;
  std::string body_;
};

}  // namespace weft::bench
