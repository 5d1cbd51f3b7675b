// libcurl, owned: what every request has in common.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace weft {

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;

// Speaks HTTP and HTTPS only, raises no signals, says who asks. `ca_file`: PEM file of the
// authorities to trust; empty: SSL_CERT_FILE's, as OpenSSL's programs have it, else the system's.
Curl NewCurl(const std::string& ca_file);

// Request headers; outlive the requests that send them.
class CurlHeaders {
 public:
  CurlHeaders() = default;
  CurlHeaders(const CurlHeaders&) = delete;
  CurlHeaders& operator=(const CurlHeaders&) = delete;
  ~CurlHeaders() { curl_slist_free_all(list_); }
  void Add(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

}  // namespace weft
