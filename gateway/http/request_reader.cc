#include "gateway/http/request_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gateway/http/head_gate.h"

namespace weft::http {
namespace {

namespace beast_http = boost::beast::http;
using Parser = beast_http::request_parser<beast_http::string_body>;

// What stands behind a chunk's size, up to the line's end or, of the last one, the trailers'.
constexpr size_t kMaxChunkLine = 4096;

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

HttpRefusal TooLong() { return {400, "a chunk's size line, or a trailer, is too long"}; }

// Whether Beast waits for more with reason. It looks at what follows the last chunk's
// size only once the trailers are there too: until then "0_2e" would pass for a beginning.
// And it lets a quoted string in an extension run on behind its line, only to refuse it
// then, as too large a body if it came in many pieces.
std::optional<HttpRefusal> RefuseBeginningOfChunk(std::string_view text) {
  if (text.starts_with("\r\n")) text.remove_prefix(2);  // of the chunk before
  const size_t begin_size = text.size();
  bool is_last = true;
  while (!text.empty() && HexDigit(text.front()) >= 0) {
    is_last = is_last && text.front() == '0';
    text.remove_prefix(1);
  }
  if (begin_size - text.size() > kMaxChunkLine || text.size() > kMaxChunkLine) return TooLong();
  if (text.empty()) return std::nullopt;
  const HttpRefusal malformed{400, "malformed chunk size line"};
  if (std::string_view("\r; \t").find(text.front()) == std::string_view::npos) return malformed;
  if (!is_last && text.find("\r\n") != std::string_view::npos) return malformed;
  return std::nullopt;
}

}  // namespace

struct RequestReader::Impl {
  explicit Impl(const HttpLimits& limits) : gate(limits) { parser.emplace(); }

  HeadGate gate;
  std::optional<Parser> parser;
  HttpRequest request;
  HttpRefusal refusal;
  int num_chunks = 0;
  bool too_many_chunks = false;
  const char* behind_chunk_size = nullptr;  // of the chunk read last, in the inbox
  std::function<void(std::uint64_t, boost::beast::string_view, boost::beast::error_code&)> on_chunk;
};

RequestReader::RequestReader(const HttpLimits& limits) : limits_(limits) { Reset(); }
RequestReader::~RequestReader() = default;

void RequestReader::Reset() {
  state_ = State::kIdle;
  impl_.reset();  // an idle connection costs little
}

bool RequestReader::expects_continue() const { return impl_ && impl_->gate.expects_continue(); }
const HttpRefusal& RequestReader::refusal() const { return impl_->refusal; }
HttpRequest RequestReader::TakeRequest() { return std::move(impl_->request); }

RequestReader::State RequestReader::Refuse(HttpRefusal refusal) {
  impl_->refusal = std::move(refusal);
  return state_ = State::kRefused;
}

RequestReader::State RequestReader::Advance(std::string& inbox) {
  if (state_ == State::kIdle) {
    // RFC 9112 2.2: old clients put a line end behind a body.
    while (inbox.starts_with("\r\n")) inbox.erase(0, 2);
    if (inbox.empty() || inbox == "\r") return state_;
    impl_ = std::make_unique<Impl>(limits_);
    state_ = State::kHead;
  }
  if (state_ == State::kHead) return ScanHead(inbox);
  return ParseBody(inbox);
}

RequestReader::State RequestReader::ScanHead(std::string& inbox) {
  switch (impl_->gate.Scan(inbox)) {
    case HeadGate::Verdict::kMore:
      return state_;
    case HeadGate::Verdict::kRefused:
      return Refuse(impl_->gate.refusal());
    case HeadGate::Verdict::kPassed:
      break;
  }
  Parser& parser = *impl_->parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.max_head));
  parser.body_limit(limits_.max_body);
  parser.eager(false);
  impl_->on_chunk = [this](std::uint64_t, boost::beast::string_view extensions,
                           boost::beast::error_code& error) {
    impl_->behind_chunk_size = extensions.data();
    if (++impl_->num_chunks > limits_.max_chunks) {
      impl_->too_many_chunks = true;
      error = beast_http::error::body_limit;
    } else if (extensions.size() > limits_.max_chunk_extension) {
      error = beast_http::error::bad_chunk_extension;
    }
  };
  parser.on_chunk_header(impl_->on_chunk);
  boost::beast::error_code error;
  size_t used = 0;
  while (used < impl_->gate.head_size() && !parser.is_header_done()) {
    const size_t n =
        parser.put(boost::asio::buffer(inbox.data() + used, impl_->gate.head_size() - used), error);
    used += n;
    if (error || n == 0) break;
  }
  if (error || !parser.is_header_done() || used != impl_->gate.head_size()) {
    return Refuse({400, absl::StrCat("malformed request head: ", error.message())});
  }
  inbox.erase(0, used);

  // Copied before the body: trailers would land among the headers.
  HttpRequest& request = impl_->request;
  const auto& message = parser.get();
  request.method = View(message.method_string());
  request.minor_version = message.version() == 10 ? 0 : 1;
  request.keep_alive = parser.keep_alive();
  for (const auto& field : message.base()) {
    request.headers.emplace_back(absl::AsciiStrToLower(std::string(View(field.name_string()))),
                                 View(field.value()));
  }
  std::string_view target = View(message.target());
  if (!target.starts_with('/') && target != "*") {  // absolute form, as proxies get it
    const size_t host = target.find("://");
    const size_t path = host == std::string_view::npos ? host : target.find('/', host + 3);
    if (host == std::string_view::npos) return Refuse({400, "the request URI is no path"});
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const size_t query = target.find('?');
  if (query != std::string_view::npos) request.query = target.substr(query + 1);
  if (!PercentDecode(target.substr(0, query), request.path)) {
    return Refuse({400, "a percent sign in the request URI is not followed by two hex digits"});
  }
  state_ = State::kBody;
  return ParseBody(inbox);
}

RequestReader::State RequestReader::ParseBody(std::string& inbox) {
  Parser& parser = *impl_->parser;
  parser.eager(true);
  size_t used = 0;
  boost::beast::error_code error;
  while (!parser.is_done() && used < inbox.size()) {
    const size_t n =
        parser.put(boost::asio::buffer(inbox.data() + used, inbox.size() - used), error);
    used += n;
    if (error) break;
  }
  // However the bytes were cut, the same trailers are too long.
  const char* const trailers = parser.is_done() ? impl_->behind_chunk_size : nullptr;
  const bool has_long_trailers =
      trailers != nullptr && inbox.data() + used - trailers > std::ptrdiff_t{kMaxChunkLine};
  inbox.erase(0, used);
  if (has_long_trailers) return Refuse(TooLong());
  if (error == beast_http::error::need_more) {
    if (auto refusal = RefuseBeginningOfChunk(inbox)) return Refuse(*std::move(refusal));
    return state_;
  }
  if (impl_->too_many_chunks) {
    return Refuse({413, absl::StrCat("more than ", limits_.max_chunks, " chunks")});
  }
  if (error == beast_http::error::body_limit) {
    return Refuse(
        {413, absl::StrCat("the request body is larger than ", limits_.max_body, " bytes")});
  }
  if (error) return Refuse({400, absl::StrCat("malformed request body: ", error.message())});
  if (!parser.is_done()) return state_;
  impl_->request.body = std::move(parser.get().body());
  return state_ = State::kDone;
}

}  // namespace weft::http
