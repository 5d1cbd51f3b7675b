// The strict gate before the HTTP parser: one request head, byte by byte as it
// arrives, held to RFC 9112 without any of its allowances. Two parsers that read
// one head differently are how requests are smuggled through proxies; a head that
// passes here has one reading.
//
// Refused here: bare CR or LF, control bytes, folded lines, blanks around a name,
// no or two Hosts, Content-Length that is not plain digits or comes twice or beside
// Transfer-Encoding, transfer codings other than one "chunked", versions other than
// 1.0 and 1.1, unknown expectations, encoded bodies, heads beyond the limits.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "gateway/http/message.h"

namespace weft::http {

class HeadGate {
 public:
  explicit HeadGate(const HttpLimits& limits) : limits_(limits) {}

  enum class Verdict { kMore, kPassed, kRefused };

  // `data` starts at the request's first byte and holds all that has arrived; bytes
  // judged by an earlier call are not looked at again.
  Verdict Scan(std::string_view data);

  // After kPassed: the offset behind the blank line.
  size_t head_size() const { return scanned_; }
  bool expects_continue() const { return expects_continue_; }
  // After kRefused.
  const HttpRefusal& refusal() const { return refusal_; }

 private:
  bool JudgeLine(std::string_view line);
  bool JudgeRequestLine(std::string_view line);
  bool JudgeHeader(std::string_view line);
  bool JudgeHead();
  bool Refuse(int status, std::string message);

  const HttpLimits& limits_;
  size_t scanned_ = 0;
  size_t line_start_ = 0;
  bool in_headers_ = false;  // the request line is behind
  int num_headers_ = 0;
  int minor_version_ = 1;
  int num_hosts_ = 0;
  bool has_content_length_ = false;
  bool has_transfer_encoding_ = false;
  bool expects_continue_ = false;
  HttpRefusal refusal_;
};

}  // namespace weft::http
