// One GET of the hub or of a host that it redirects to, and what its end means: done, to be tried
// again, or an error that no repetition heals.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/pull/reference.h"
#include "cli/pull/settings.h"
#include "common/curl.h"

namespace weft::pull {

class Exchange {
 public:
  // Takes the body of a 200 or 206 as it comes. What it returns ends the exchange unless OK.
  using Sink = std::function<absl::Status(const Exchange&, std::string_view)>;

  // The token goes to the endpoint only: libcurl leaves it out where a redirection leads to
  // another scheme, host or port.
  Exchange(const HubSettings& settings, const std::string& url, Sink sink);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Without If-Range: the address names a commit, and the bytes before the range are held to a
  // checksum with it. Redirected requests have no validator that would be the same the next time.
  void AskForRange(int64_t begin, int64_t end);
  CURL* curl() const { return curl_.get(); }

  // Of the last answer, redirections left behind:
  long status() const;
  struct ContentRange {
    int64_t begin, total;
  };
  std::optional<ContentRange> content_range() const;  // of a 206

  // Once libcurl says how it ended. Unavailable: it may be tried again, after `retry_after`.
  // Messages say what to do, about `reference`.
  absl::Status Outcome(CURLcode code, const ModelReference& reference) const;
  // As the server asked for; zero: it did not.
  absl::Duration retry_after() const;

 private:
  void OnHeader(const std::string& line);
  size_t OnBody(std::string_view bytes);
  absl::Status Refusal(const ModelReference& reference) const;
  bool IsFromEndpoint() const;

  const HubSettings& settings_;
  const Sink sink_;
  CurlHeaders headers_;
  char curl_error_[CURL_ERROR_SIZE] = "";
  std::string range_, error_code_, error_message_;  // headers of the last answer
  absl::Status sink_status_;
  const Curl curl_;
};

}  // namespace weft::pull
