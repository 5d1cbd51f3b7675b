#include "cli/bench/answer_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

namespace weft::bench {

namespace http = boost::beast::http;

AnswerParser::AnswerParser(SseScanner& scanner) : scanner_(scanner) {
  eager(true);
  body_limit(boost::none);
}

size_t AnswerParser::Advance(std::string_view bytes, Error& error) {
  size_t num_read = 0;
  while (num_read < bytes.size() && !is_done()) {
    const size_t n =
        put(boost::asio::buffer(bytes.data() + num_read, bytes.size() - num_read), error);
    num_read += n;
    if (error == http::error::need_more) {
      error = {};
      break;
    }
    if (error) break;
  }
  return num_read;
}

void AnswerParser::on_field_impl(http::field name, Text, Text value, Error&) {
  constexpr std::string_view kType = "text/event-stream";
  if (name == http::field::content_type) {
    is_stream_ =
        status_ == 200 && value.size() >= kType.size() &&
        boost::beast::iequals(value.substr(0, kType.size()), Text(kType.data(), kType.size()));
  }
}

void AnswerParser::Take(Text bytes) {
  if (is_stream_) return scanner_.Feed({bytes.data(), bytes.size()});
  body_.append(bytes.data(), std::min(bytes.size(), kMaxBody - body_.size()));
}

size_t AnswerParser::on_body_impl(Text bytes, Error&) {
  Take(bytes);
  return bytes.size();
}

size_t AnswerParser::on_chunk_body_impl(uint64_t, Text bytes, Error&) {
  Take(bytes);
  return bytes.size();
}

}  // namespace weft::bench
