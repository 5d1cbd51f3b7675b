#include "common/curl.h"

#include <signal.h>

#include <cstdlib>

#include "common/version.h"

namespace weft {

Curl NewCurl(const std::string& ca_file) {
  [[maybe_unused]] static const CURLcode initialized = [] {
    signal(SIGPIPE, SIG_IGN);  // TLS writes to connections that have gone
    return curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  Curl curl(curl_easy_init());
  CURL* const c = curl.get();
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
  curl_easy_setopt(c, CURLOPT_USERAGENT, ("weft/" + std::string(kVersion)).c_str());
  const char* const authorities = ca_file.empty() ? std::getenv("SSL_CERT_FILE") : ca_file.c_str();
  if (authorities != nullptr && *authorities != '\0') {
    curl_easy_setopt(c, CURLOPT_CAINFO, authorities);
  }
  return curl;
}

}  // namespace weft
