// One answer's bytes, before they meet a socket.
//
//   writer.Reply(response);                      whole, with Content-Length
//
//   writer.BeginStream(200, "text/event-stream");
//   writer.body() += "data: ...\n\n";            as often as there is more
//   writer.End();
//
// What one Advance appends leaves in one write: one chunk of the chunked coding
// (HTTP/1.0 has none: there the connection's end ends the body).
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/http/message.h"

namespace weft::http {

class ResponseWriter {
 public:
  // `common_headers`: complete lines that every answer carries.
  explicit ResponseWriter(std::string common_headers) : common_(std::move(common_headers)) {}

  void Reply(HttpResponse response);
  void BeginStream(int status, std::string_view content_type);
  std::string& body() { return body_; }
  void End();

  bool started() const { return status_ != 0; }
  bool ended() const { return ended_; }
  int status() const { return status_; }  // 0 before it started
  bool keeps_alive() const { return keep_alive_; }

  // --- for the connection ---

  // Before each request's answer.
  void Reset(const HttpRequest& request, bool keep_alive);
  // Complete lines of this answer's head, beside the common ones.
  void SetHeaders(std::string lines) { headers_ = std::move(lines); }
  // For an answer to what was no request.
  void ResetForRefusal();
  // The connection ends behind this answer; said in its head if that is still to come.
  void DisableKeepAlive() { keep_alive_ = false; }

  // Puts what was appended since the last call into `pieces`, in the order of the
  // wire; they stay valid until Sent. False if there is nothing to send.
  using Pieces = std::array<std::string_view, 4>;
  bool Collect(Pieces& pieces);
  void Sent();

 private:
  void Head(int status, std::string_view content_type);

  const std::string common_;
  std::string headers_;
  std::string head_;
  std::string chunk_size_;
  std::string body_;
  std::string request_id_;
  int status_ = 0;
  bool head_only_ = false;
  bool chunked_ = false;
  bool http10_ = false;
  bool keep_alive_ = true;
  bool ended_ = false;
  bool last_collected_ = false;  // the end of a chunked body has been handed out
};

}  // namespace weft::http
