#include "cli/bench/http_get.h"

#include "absl/strings/str_cat.h"
#include "cli/bench/sse_scanner.h"
#include "common/curl.h"

namespace weft::bench {

absl::StatusOr<std::string> HttpGet(const std::string& url, const GetOptions& options) {
  constexpr size_t kMaxBodyBytes = 16 << 20;
  std::string body;
  char error[CURL_ERROR_SIZE] = "";
  CurlHeaders headers;
  if (!options.api_key.empty()) headers.Add("Authorization: Bearer " + options.api_key);
  const Curl curl = NewCurl(options.ca_file);
  CURL* const c = curl.get();
  curl_easy_setopt(c, CURLOPT_URL, url.c_str());
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(1e3 * options.timeout_s));
  curl_easy_setopt(
      c, CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t size, void* to) -> size_t {
        auto& body = *static_cast<std::string*>(to);
        if (body.size() + size > kMaxBodyBytes) return 0;
        body.append(data, size);
        return size;
      });
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl_easy_perform(c);
  if (code != CURLE_OK) {
    return absl::UnavailableError(*error != '\0' ? error : curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return body;
  return absl::FailedPreconditionError(absl::StrCat("HTTP ", status, ", ", ErrorMessage(body)));
}

}  // namespace weft::bench
