#include "gateway/inference/grpc_status.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "text/utf8.h"

namespace weft::gateway {
namespace {

constexpr absl::Duration kDefaultRetryDelay = absl::Seconds(1);

// A message travels three times: percent-encoded (up to three bytes for one), in the
// details and in a field's violation (base64: four bytes for three). So often this fits.
constexpr size_t kMaxMessageBytes = 1200;
static_assert(kMaxMessageBytes * 3 + kMaxMessageBytes * 2 * 4 / 3 < 7 << 10);

std::string Payload(const absl::Status& status, const char* name) {
  const absl::optional<absl::Cord> payload = status.GetPayload(name);
  return payload ? std::string(*payload) : std::string();
}

std::string Message(const absl::Status& status) {
  std::string message = text::ToUtf8({status.message().data(), status.message().size()});
  if (message.size() <= kMaxMessageBytes) return message;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (message[end] & 0xc0) == 0x80) --end;  // not inside a character
  message.resize(end);
  return message + " …";
}

}  // namespace

absl::Duration RetryDelay(const absl::Status& status, absl::Duration known) {
  if (known > absl::ZeroDuration()) return known;
  int64_t ms = 0;
  if (absl::SimpleAtoi(Payload(status, kRetryAfterPayload), &ms) && ms > 0) {
    return absl::Milliseconds(ms);
  }
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ? kDefaultRetryDelay
                                                                          : absl::ZeroDuration();
}

grpc::Status ToGrpcStatus(const absl::Status& status, absl::Duration retry_after) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status rich;
  rich.set_code(static_cast<int32_t>(status.code()));
  rich.set_message(Message(status));
  if (std::string field = Payload(status, kParamPayload); !field.empty()) {
    google::rpc::BadRequest bad_request;
    auto& violation = *bad_request.add_field_violations();
    violation.set_field(text::ToUtf8(field));
    violation.set_description(rich.message());
    rich.add_details()->PackFrom(bad_request);
  }
  if (std::string code = Payload(status, kCodePayload); !code.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(std::move(code));
    info.set_domain("weft");
    rich.add_details()->PackFrom(info);
  }
  if (const absl::Duration delay = RetryDelay(status, retry_after); delay > absl::ZeroDuration()) {
    google::rpc::RetryInfo retry;
    absl::Duration rest;
    retry.mutable_retry_delay()->set_seconds(absl::IDivDuration(delay, absl::Seconds(1), &rest));
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    rich.add_details()->PackFrom(retry);
  }
  return {static_cast<grpc::StatusCode>(status.code()), rich.message(), rich.SerializeAsString()};
}

grpc::Status EndCall(const absl::Status& status, absl::Duration retry_after,
                     grpc::ServerContextBase& context) {
  if (const absl::Duration delay = RetryDelay(status, retry_after); delay > absl::ZeroDuration()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms",
                                absl::StrCat(absl::ToInt64Milliseconds(delay)));
  }
  return ToGrpcStatus(status, retry_after);
}

}  // namespace weft::gateway
