#include "gateway/http/head_gate.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::http {
namespace {

bool IsTokenChar(char c) {
  const auto u = static_cast<unsigned char>(c);
  if (u <= ' ' || u >= 0x7f) return false;
  return std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsHostChar(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view(".-:[]_~%").find(c) != std::string_view::npos;
}

// The only longer thing on a request line is the URI: method and version are
// short.
constexpr size_t kRequestLineRest = 64;

}  // namespace

bool HeadGate::Refuse(int status, std::string message) {
  refusal_ = {status, std::move(message)};
  return false;
}

HeadGate::Verdict HeadGate::Scan(std::string_view data) {
  while (scanned_ < data.size()) {
    if (scanned_ >= limits_.max_head) {
      Refuse(431, absl::StrCat("the request head is larger than ", limits_.max_head, " bytes"));
      return Verdict::kRefused;
    }
    const char c = data[scanned_];
    const bool after_cr = scanned_ > line_start_ && data[scanned_ - 1] == '\r';
    if (after_cr != (c == '\n')) {
      Refuse(400, "lines of a request head end in CR LF, and neither byte stands alone");
      return Verdict::kRefused;
    }
    const auto u = static_cast<unsigned char>(c);
    if ((u < 0x20 && c != '\r' && c != '\n' && c != '\t') || u == 0x7f) {
      Refuse(400, "control byte in the request head");
      return Verdict::kRefused;
    }
    ++scanned_;
    if (c != '\n') {
      if (!in_headers_ && scanned_ - line_start_ > limits_.max_uri + kRequestLineRest) {
        Refuse(414, absl::StrCat("the request URI is longer than ", limits_.max_uri, " bytes"));
        return Verdict::kRefused;
      }
      continue;
    }
    const std::string_view line = data.substr(line_start_, scanned_ - line_start_ - 2);
    line_start_ = scanned_;
    if (in_headers_ && line.empty()) return JudgeHead() ? Verdict::kPassed : Verdict::kRefused;
    if (!JudgeLine(line)) return Verdict::kRefused;
  }
  return Verdict::kMore;
}

bool HeadGate::JudgeLine(std::string_view line) {
  if (in_headers_) return JudgeHeader(line);
  in_headers_ = true;
  return JudgeRequestLine(line);
}

bool HeadGate::JudgeRequestLine(std::string_view line) {
  const size_t method_end = line.find(' ');
  const size_t target_end = line.rfind(' ');
  if (method_end == std::string_view::npos || method_end == target_end) {
    return Refuse(400, "the request line is not METHOD URI HTTP/1.1");
  }
  const std::string_view method = line.substr(0, method_end);
  const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
  const std::string_view version = line.substr(target_end + 1);
  if (!IsToken(method)) return Refuse(400, "the method is no token");
  if (target.size() > limits_.max_uri) {
    return Refuse(414, absl::StrCat("the request URI is longer than ", limits_.max_uri, " bytes"));
  }
  if (target.empty() || !std::all_of(target.begin(), target.end(), [](char c) {
        return static_cast<unsigned char>(c) > ' ' && static_cast<unsigned char>(c) < 0x7f;
      })) {
    return Refuse(400, "the request URI holds bytes that must be percent-encoded");
  }
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !IsDigit(version[5]) ||
      version[6] != '.' || !IsDigit(version[7])) {
    return Refuse(400, "the request line does not end in an HTTP version");
  }
  if (version[5] != '1' || version[7] > '1') {
    return Refuse(505, absl::StrCat(std::string(version), " is not spoken here: use HTTP/1.1"));
  }
  minor_version_ = version[7] - '0';
  return true;
}

bool HeadGate::JudgeHeader(std::string_view line) {
  if (++num_headers_ > limits_.max_headers) {
    return Refuse(431, absl::StrCat("more than ", limits_.max_headers, " header lines"));
  }
  if (line[0] == ' ' || line[0] == '\t') return Refuse(400, "folded header lines are obsolete");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimBlanks(line.substr(colon + 1));
  if (!IsToken(name)) return Refuse(400, "a header name is no token (blank before the colon?)");

  if (EqualsIgnoreCase(name, "host")) {
    if (++num_hosts_ > 1) return Refuse(400, "more than one Host");
    if (!std::all_of(value.begin(), value.end(), IsHostChar)) {
      return Refuse(400, "Host is no host name");
    }
  } else if (EqualsIgnoreCase(name, "content-length")) {
    if (std::exchange(has_content_length_, true))
      return Refuse(400, "more than one Content-Length");
    uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (error != std::errc() || end != value.data() + value.size() || length > INT64_MAX) {
      return Refuse(400, "Content-Length is not a number of bytes in plain digits");
    }
    if (length > limits_.max_body) {
      return Refuse(413,
                    absl::StrCat("the request body is larger than ", limits_.max_body, " bytes"));
    }
  } else if (EqualsIgnoreCase(name, "transfer-encoding")) {
    if (std::exchange(has_transfer_encoding_, true)) {
      return Refuse(400, "more than one Transfer-Encoding");
    }
    if (EqualsIgnoreCase(value, "chunked")) return true;
    const size_t comma = value.rfind(',');
    const bool ends_chunked =
        comma != std::string_view::npos &&
        EqualsIgnoreCase(TrimBlanks(value.substr(comma + 1)), "chunked") &&
        absl::AsciiStrToLower(std::string(value.substr(0, comma))).find("chunked") ==
            std::string::npos;
    // With chunked last the body's end is known, only its coding is not.
    return Refuse(ends_chunked ? 501 : 400, "the only transfer coding here is chunked");
  } else if (EqualsIgnoreCase(name, "expect")) {
    if (!EqualsIgnoreCase(value, "100-continue")) {
      return Refuse(417, "the only expectation met here is 100-continue");
    }
    expects_continue_ = true;
  } else if (EqualsIgnoreCase(name, "content-encoding")) {
    if (!EqualsIgnoreCase(value, "identity")) {
      return Refuse(415, "encoded request bodies are not taken: send the body as it is");
    }
  }
  return true;
}

bool HeadGate::JudgeHead() {
  if (minor_version_ == 1 && num_hosts_ == 0) return Refuse(400, "HTTP/1.1 needs a Host");
  if (has_transfer_encoding_ && has_content_length_) {
    return Refuse(400, "both Content-Length and Transfer-Encoding");
  }
  if (has_transfer_encoding_ && minor_version_ == 0) {
    return Refuse(400, "HTTP/1.0 has no Transfer-Encoding");
  }
  if (minor_version_ == 0) expects_continue_ = false;  // RFC 9110 10.1.1: ignored
  return true;
}

}  // namespace weft::http
