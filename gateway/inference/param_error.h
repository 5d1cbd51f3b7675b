// The errors that a client can mend, naming the field at fault.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gateway/inference/service.h"

namespace weft::gateway {

inline absl::Status ParamError(std::string_view param, std::string_view message) {
  absl::Status status =
      absl::InvalidArgumentError(absl::string_view(message.data(), message.size()));
  status.SetPayload(kParamPayload, absl::Cord(absl::string_view(param.data(), param.size())));
  return status;
}

// 503 with the advice to come back.
inline absl::Status RetryLater(absl::string_view message, absl::Duration after) {
  absl::Status status = absl::UnavailableError(message);
  status.SetPayload(kRetryAfterPayload, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(after))));
  return status;
}

}  // namespace weft::gateway
