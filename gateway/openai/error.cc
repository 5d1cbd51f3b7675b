#include "gateway/openai/error.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

constexpr absl::Duration kDefaultRetryAfter = absl::Seconds(1);

std::string_view ErrorType(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 429:
      return "rate_limit_error";
    case 499:
      return "request_cancelled";
    case 501:
      return "not_implemented_error";
    case 505:  // the one 5xx that is the client's fault
      return "invalid_request_error";
    default:
      return http_status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string Payload(const absl::Status& status, const char* name) {
  const absl::optional<absl::Cord> payload = status.GetPayload(name);
  return payload ? std::string(*payload) : std::string();
}

std::string Body(int http_status, std::string_view message, std::string_view param,
                 std::string_view code) {
  std::string body = "{\"error\":{\"message\":";
  AppendQuotedBytes(body, message);
  body += ",\"type\":";
  AppendQuoted(body, ErrorType(http_status));
  const auto nullable = [&body](std::string_view key, std::string_view value) {
    body.append(",\"").append(key).append("\":");
    if (value.empty()) {
      body += "null";
    } else {
      AppendQuotedBytes(body, value);
    }
  };
  nullable("param", param);
  nullable("code", code);
  body += "}}";
  return body;
}

}  // namespace

absl::Status ParamError(std::string_view param, std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(std::string(message));
  status.SetPayload(gateway::kParamPayload, absl::Cord(std::string(param)));
  return status;
}

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

std::string ErrorBody(const absl::Status& status) {
  const absl::string_view message = status.message();
  return Body(HttpStatus(status.code()), {message.data(), message.size()},
              Payload(status, gateway::kParamPayload), Payload(status, gateway::kCodePayload));
}

http::HttpResponse ErrorResponse(const absl::Status& status, absl::Duration retry_after) {
  http::HttpResponse response{.status = HttpStatus(status.code()), .body = ErrorBody(status)};
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (response.status != 429 && response.status != 503) return response;
  int64_t ms = absl::ToInt64Milliseconds(retry_after);
  if (ms <= 0 && !absl::SimpleAtoi(Payload(status, gateway::kRetryAfterPayload), &ms)) ms = 0;
  if (ms <= 0) ms = absl::ToInt64Milliseconds(kDefaultRetryAfter);
  // Whole seconds for everybody, and exactly for OpenAI's clients.
  response.headers.emplace_back("Retry-After", absl::StrCat((ms + 999) / 1000));
  response.headers.emplace_back("retry-after-ms", absl::StrCat(ms));
  return response;
}

http::HttpResponse ErrorResponse(int http_status, std::string_view message, std::string_view code) {
  return {.status = http_status, .body = Body(http_status, message, "", code)};
}

}  // namespace weft::openai
