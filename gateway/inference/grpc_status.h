// What goes wrong, as gRPC's clients read it: the status with its message, and
// google.rpc's details in grpc-status-details-bin.
//
//   of the absl::Status         detail
//   kParamPayload               BadRequest: that field, and the message
//   kCodePayload                ErrorInfo: the code as `reason`, domain "weft"
//   kRetryAfterPayload          RetryInfo, and the trailer grpc-retry-pushback-ms that
//                               gRPC's own retries obey
//
// RESOURCE_EXHAUSTED and UNAVAILABLE always say when to come back: after a second if
// nobody knows better, as over HTTP.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace weft::gateway {

// When the status tells its client to come back; zero: it does not. `known` above zero
// is what somebody said beside it.
absl::Duration RetryDelay(const absl::Status& status, absl::Duration known = absl::ZeroDuration());

// With details. Long messages are cut: trailers beyond 8 KiB would cost the client the
// whole status.
grpc::Status ToGrpcStatus(const absl::Status& status,
                          absl::Duration retry_after = absl::ZeroDuration());

// Likewise, and adds the trailer to the call that ends with it.
grpc::Status EndCall(const absl::Status& status, absl::Duration retry_after,
                     grpc::ServerContextBase& context);

}  // namespace weft::gateway
