#include "cli/pull/exchange.h"

#include <cinttypes>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::pull {
namespace {

// A connection over which nothing comes for so long is given up.
constexpr long kStallSeconds = 20;

// scheme://host:port
std::string Origin(const std::string& url) {
  const size_t host = url.find("://");
  if (host == std::string::npos) return url;
  return url.substr(0, url.find_first_of("/?#", host + 3));
}

// The hub's words, fit for a line.
std::string Printable(const std::string& text) {
  constexpr size_t kMaxShown = 300;
  std::string shown = text.substr(0, kMaxShown);
  for (char& c : shown) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return shown;
}

bool IsWorthAnotherTry(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_OUT_OF_MEMORY:
      return false;
    default:
      return true;
  }
}

}  // namespace

Exchange::Exchange(const HubSettings& settings, const std::string& url, Sink sink)
    : settings_(settings), sink_(std::move(sink)), curl_(NewCurl(settings.ca_file)) {
  CURL* const c = curl_.get();
  curl_easy_setopt(c, CURLOPT_URL, url.c_str());
  curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
  // Never from encrypted to plain.
  if (settings.endpoint.starts_with("https:")) {
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
  }
  // Ranges shall come over connections of their own, not share one.
  curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, curl_error_);
  if (!settings.token.empty()) headers_.Add("Authorization: Bearer " + settings.token);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(
      c, CURLOPT_HEADERFUNCTION, +[](char* data, size_t, size_t size, void* self) -> size_t {
        static_cast<Exchange*>(self)->OnHeader({data, size});
        return size;
      });
  curl_easy_setopt(c, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(
      c, CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t size, void* self) -> size_t {
        return static_cast<Exchange*>(self)->OnBody({data, size});
      });
  curl_easy_setopt(c, CURLOPT_WRITEDATA, this);
}

void Exchange::AskForRange(int64_t begin, int64_t end) {
  curl_easy_setopt(curl(), CURLOPT_RANGE, absl::StrCat(begin, "-", end - 1).c_str());
}

long Exchange::status() const {
  long status = 0;
  curl_easy_getinfo(curl(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

// "bytes 0-99/1234"
std::optional<Exchange::ContentRange> Exchange::content_range() const {
  ContentRange range;
  int64_t end = 0;
  if (sscanf(range_.c_str(), "bytes %" SCNd64 "-%" SCNd64 "/%" SCNd64, &range.begin, &end,
             &range.total) != 3) {
    return std::nullopt;
  }
  return range;
}

absl::Duration Exchange::retry_after() const {
  curl_off_t seconds = 0;
  curl_easy_getinfo(curl(), CURLINFO_RETRY_AFTER, &seconds);
  return absl::Seconds(seconds);
}

void Exchange::OnHeader(const std::string& line) {
  if (line.starts_with("HTTP/")) {  // another answer begins
    range_.clear();
    error_code_.clear();
    error_message_.clear();
  }
  const std::pair<std::string, std::string> header = absl::StrSplit(line, absl::MaxSplits(':', 1));
  const std::string value(absl::StripAsciiWhitespace(header.second));
  if (absl::EqualsIgnoreCase(header.first, "content-range")) range_ = value;
  if (absl::EqualsIgnoreCase(header.first, "x-error-code")) error_code_ = value;
  if (absl::EqualsIgnoreCase(header.first, "x-error-message")) error_message_ = value;
}

size_t Exchange::OnBody(std::string_view bytes) {
  if (const long code = status(); code != 200 && code != 206) return bytes.size();
  sink_status_ = sink_(*this, bytes);
  return sink_status_.ok() ? bytes.size() : 0;
}

bool Exchange::IsFromEndpoint() const {
  const char* url = nullptr;
  curl_easy_getinfo(curl(), CURLINFO_EFFECTIVE_URL, &url);
  return url == nullptr || Origin(url) == Origin(settings_.endpoint);
}

absl::Status Exchange::Outcome(CURLcode code, const ModelReference& reference) const {
  if (!sink_status_.ok()) return sink_status_;
  if (code != CURLE_OK) {
    // Without the URL, whose signature is nobody's to read.
    const std::string cause = absl::StrCat(settings_.endpoint, ": ",
                                           *curl_error_ ? curl_error_ : curl_easy_strerror(code));
    if (IsWorthAnotherTry(code)) return absl::UnavailableError(cause);
    return absl::FailedPreconditionError(cause);
  }
  if (const long http = status(); http == 200 || http == 206) return absl::OkStatus();
  return Refusal(reference);
}

absl::Status Exchange::Refusal(const ModelReference& reference) const {
  const long http = status();
  const std::string words =
      error_message_.empty() ? "" : absl::StrCat(" (\"", Printable(error_message_), "\")");
  const std::string answer =
      absl::StrCat(IsFromEndpoint() ? settings_.endpoint : "the host that the hub redirects to",
                   " answers HTTP ", http, words);
  // A signed address that has expired: the hub gives another.
  const bool is_expired = http == 403 && !IsFromEndpoint();
  if (http == 408 || http == 429 || http >= 500 || is_expired)
    return absl::UnavailableError(answer);
  const bool has_token = !settings_.token.empty();
  if (http == 401 && !has_token) {
    return absl::UnauthenticatedError(
        absl::StrCat(reference.repo, " is gated or private, or does not exist: ", answer,
                     "; set HF_TOKEN to a token of an account that may read it"));
  }
  if (http == 401) {
    return absl::UnauthenticatedError(
        absl::StrCat(reference.repo,
                     ": the hub does not accept the token of HF_TOKEN, or there is "
                     "no such model: ",
                     answer));
  }
  if (http == 403) {
    return absl::PermissionDeniedError(absl::StrCat(
        reference.repo,
        has_token ? " is gated, and the account of HF_TOKEN may not read it: " : " is gated: ",
        answer, "; ask for access at ", settings_.endpoint, "/", reference.repo,
        has_token ? "" : " and set HF_TOKEN"));
  }
  if (http == 404) {
    const std::string missing =
        error_code_ == "RevisionNotFound"
            ? absl::StrCat("there is no revision ", reference.revision, " of ", reference.repo)
            : absl::StrCat("there is no model ", reference.repo, " at revision ",
                           reference.revision);
    return absl::NotFoundError(absl::StrCat(missing, ": ", answer));
  }
  return absl::FailedPreconditionError(absl::StrCat(reference.ToString(), ": ", answer));
}

}  // namespace weft::pull
