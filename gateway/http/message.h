// What goes in and out of the HTTP server, free of sockets.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/trace_context.h"

namespace weft::http {

// What one client may cost before it is refused. Sizes in bytes.
struct HttpLimits {
  size_t max_uri = 8 << 10;     // 414
  size_t max_head = 16 << 10;   // 431
  int max_headers = 100;        // 431
  size_t max_body = 2'000'000;  // 413
  // Node sends pieces of 16 KiB, curl of 64: thousands of tiny ones are an attack.
  int max_chunks = 65'536;           // 413
  size_t max_chunk_extension = 256;  // 400

  std::chrono::milliseconds head_timeout{10'000};  // first byte to blank line: 408
  std::chrono::milliseconds body_stall{10'000};    // between two reads of a body: 408
  std::chrono::milliseconds body_timeout{60'000};  // blank line to last byte: 408
  std::chrono::milliseconds idle_timeout{75'000};  // keep-alive: above the 60 s of load balancers
};

struct HttpRequest {
  std::string method;
  std::string path;  // percent-decoded, without the query
  std::string query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string id;     // x-request-id, the client's if it is fit to be logged
  SpanContext trace;  // that what is done for it is a part of
  int minor_version = 1;
  bool keep_alive = true;

  // The first header of that lower-case name; empty if there is none.
  std::string_view Header(std::string_view name) const;
  // The query's first parameter of that name, decoded; empty if there is none.
  std::string Parameter(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// A request that is refused before anybody looks at what it asks for. The
// connection closes behind the answer: where the next request would begin is not
// known.
struct HttpRefusal {
  int status = 400;
  std::string message;
};

// "Not Found" for 404.
std::string_view ReasonPhrase(int status);

// -1: it is none.
int HexDigit(char c);
// Undoes %XX. False when a percent sign is not followed by two hex digits.
bool PercentDecode(std::string_view text, std::string& out);

bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Without spaces and tabs at both ends.
std::string_view TrimBlanks(std::string_view text);

}  // namespace weft::http
