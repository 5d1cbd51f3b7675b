#include "gateway/http/response_writer.h"

#include <charconv>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace weft::http {
namespace {

// A buffer that one large answer has blown up is not kept.
constexpr size_t kKeptCapacity = 16 << 10;

// "Sun, 06 Nov 1994 08:49:37 GMT", made once a second.
const std::string& HttpDate() {
  thread_local std::time_t made_at = 0;
  thread_local std::string date;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    char text[64];
    date.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
    made_at = now;
  }
  return date;
}

}  // namespace

void ResponseWriter::Reset(const HttpRequest& request, bool keep_alive) {
  headers_.clear();
  head_.clear();
  body_.clear();
  request_id_ = request.id;
  status_ = 0;
  head_only_ = request.method == "HEAD";
  chunked_ = false;
  http10_ = request.minor_version == 0;
  keep_alive_ = keep_alive;
  ended_ = false;
  last_collected_ = false;
}

void ResponseWriter::ResetForRefusal() {
  HttpRequest none;
  Reset(none, /*keep_alive=*/false);
}

void ResponseWriter::Head(int status, std::string_view content_type) {
  WEFT_CHECK(status_ == 0);
  status_ = status;
  absl::StrAppend(&head_, "HTTP/1.1 ", status, " ");
  head_ += ReasonPhrase(status);
  absl::StrAppend(&head_, "\r\nDate: ", HttpDate(), "\r\n", common_, headers_);
  if (!content_type.empty()) head_.append("Content-Type: ").append(content_type).append("\r\n");
  if (!request_id_.empty()) absl::StrAppend(&head_, "x-request-id: ", request_id_, "\r\n");
  if (!keep_alive_) {
    head_ += "Connection: close\r\n";
  } else if (http10_) {
    head_ += "Connection: keep-alive\r\n";
  }
}

void ResponseWriter::Reply(HttpResponse response) {
  Head(response.status, response.body.empty() ? std::string_view() : response.content_type);
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&head_, name, ": ", value, "\r\n");
  }
  if (response.status != 204 && response.status != 304) {
    absl::StrAppend(&head_, "Content-Length: ", response.body.size(), "\r\n");
  }
  head_ += "\r\n";
  if (!head_only_) body_ = std::move(response.body);
  ended_ = true;
}

void ResponseWriter::BeginStream(int status, std::string_view content_type) {
  if (http10_) keep_alive_ = false;
  Head(status, content_type);
  // Proxies are told to pass each piece on as it comes.
  head_ += "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n";
  chunked_ = !http10_;
  if (chunked_) head_ += "Transfer-Encoding: chunked\r\n";
  head_ += "\r\n";
}

void ResponseWriter::End() { ended_ = true; }

bool ResponseWriter::Collect(Pieces& pieces) {
  pieces = {};
  pieces[0] = head_;
  if (head_only_) body_.clear();
  if (!chunked_) {
    pieces[1] = body_;
    return !head_.empty() || !body_.empty();
  }
  const bool last = ended_ && !std::exchange(last_collected_, ended_);
  if (head_only_) return !head_.empty();
  if (!body_.empty()) {
    char digits[20];
    const auto result = std::to_chars(digits, digits + sizeof digits, body_.size(), 16);
    chunk_size_.assign(digits, result.ptr);
    chunk_size_ += "\r\n";
    pieces[1] = chunk_size_;
    pieces[2] = body_;
    pieces[3] = last ? "\r\n0\r\n\r\n" : "\r\n";
  } else if (last) {
    pieces[3] = "0\r\n\r\n";
  }
  return !head_.empty() || !body_.empty() || last;
}

void ResponseWriter::Sent() {
  head_.clear();
  body_.clear();
  if (body_.capacity() > kKeptCapacity) body_.shrink_to_fit();
}

}  // namespace weft::http
