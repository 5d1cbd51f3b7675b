// What goes wrong, as OpenAI's clients read it:
//
//   {"error":{"message":"...","type":"invalid_request_error","param":"n","code":null}}
//
//   absl                 HTTP   type
//   INVALID_ARGUMENT     400    invalid_request_error
//   OUT_OF_RANGE         400    invalid_request_error
//   UNAUTHENTICATED      401    authentication_error
//   PERMISSION_DENIED    403    permission_error
//   NOT_FOUND            404    not_found_error
//   RESOURCE_EXHAUSTED   429    rate_limit_error    with Retry-After
//   CANCELLED            499    request_cancelled   in logs only: nobody is left to read it
//   UNIMPLEMENTED        501    not_implemented_error
//   UNAVAILABLE          503    server_error        with Retry-After
//   DEADLINE_EXCEEDED    504    timeout_error
//   all others           500    server_error
//
// A status may carry the payloads of gateway/inference/service.h: the field's name,
// a code, the milliseconds after which to try again.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gateway/http/message.h"

namespace weft::openai {

// InvalidArgument that names the field.
absl::Status ParamError(std::string_view param, std::string_view message);

int HttpStatus(absl::StatusCode code);

// The body above.
std::string ErrorBody(const absl::Status& status);

// The whole answer. `retry_after` of zero: what the status carries, else a second.
http::HttpResponse ErrorResponse(const absl::Status& status,
                                 absl::Duration retry_after = absl::ZeroDuration());

// For what is refused with an HTTP status of its own (405, 413, 415, ...).
http::HttpResponse ErrorResponse(int http_status, std::string_view message,
                                 std::string_view code = "");

}  // namespace weft::openai
