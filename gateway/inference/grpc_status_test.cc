#include "gateway/inference/grpc_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/inference/param_error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace weft::gateway {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

google::rpc::Status Rich(const grpc::Status& status) {
  google::rpc::Status rich;
  EXPECT_TRUE(rich.ParseFromString(status.error_details()));
  EXPECT_EQ(rich.code(), static_cast<int>(status.error_code()));
  EXPECT_EQ(rich.message(), status.error_message());
  return rich;
}

template <typename Detail>
std::optional<Detail> Find(const grpc::Status& status) {
  const google::rpc::Status rich = Rich(status);
  Detail detail;
  for (const auto& any : rich.details()) {
    if (any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

TEST(GrpcStatus, OkHasNoDetails) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_EQ(ToGrpcStatus(absl::OkStatus()).error_details(), "");
}

TEST(GrpcStatus, AParameterIsAFieldViolation) {
  const grpc::Status status = ToGrpcStatus(ParamError("n", "n must be 1."));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto bad_request = Find<google::rpc::BadRequest>(status);
  ASSERT_TRUE(bad_request);
  ASSERT_EQ(bad_request->field_violations_size(), 1);
  EXPECT_EQ(bad_request->field_violations(0).field(), "n");
  EXPECT_EQ(bad_request->field_violations(0).description(), "n must be 1.");
  EXPECT_FALSE(Find<google::rpc::RetryInfo>(status)) << "it will not get better";
  EXPECT_FALSE(Find<google::rpc::ErrorInfo>(status));
}

TEST(GrpcStatus, ACodeIsAReason) {
  absl::Status error = absl::NotFoundError("no such model");
  error.SetPayload(kCodePayload, absl::Cord("model_not_found"));
  const auto info = Find<google::rpc::ErrorInfo>(ToGrpcStatus(error));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->reason(), "model_not_found");
  EXPECT_EQ(info->domain(), "weft");
}

TEST(GrpcStatus, AdviceIsADelayToTheMillisecond) {
  const auto retry =
      Find<google::rpc::RetryInfo>(ToGrpcStatus(RetryLater("full", absl::Milliseconds(2500))));
  ASSERT_TRUE(retry);
  EXPECT_EQ(retry->retry_delay().seconds(), 2);
  EXPECT_EQ(retry->retry_delay().nanos(), 500'000'000);
}

TEST(GrpcStatus, WhatIsSaidBesideAStatusIsLaterAndWins) {
  EXPECT_EQ(RetryDelay(RetryLater("full", absl::Seconds(2)), absl::Seconds(3)), absl::Seconds(3));
}

TEST(GrpcStatus, OverloadAlwaysSaysWhenToComeBack) {
  EXPECT_EQ(RetryDelay(absl::UnavailableError("")), absl::Seconds(1));
  EXPECT_EQ(RetryDelay(absl::ResourceExhaustedError("")), absl::Seconds(1));
  EXPECT_EQ(RetryDelay(absl::InternalError("")), absl::ZeroDuration());
  EXPECT_TRUE(Find<google::rpc::RetryInfo>(ToGrpcStatus(absl::UnavailableError("down"))));
}

TEST(GrpcStatus, LongMessagesAreCutBetweenCharacters) {
  std::string text = "x";
  for (int i = 0; i < 5000; ++i) text += "é";
  const grpc::Status status = ToGrpcStatus(ParamError("messages", text));
  EXPECT_LT(status.error_message().size() * 3 + status.error_details().size() * 4 / 3, 8u << 10);
  EXPECT_THAT(status.error_message(), StartsWith("xéé"));
  EXPECT_THAT(status.error_message(), EndsWith("é …"));
}

TEST(GrpcStatus, BytesThatAreNoTextStillArrive) {
  EXPECT_EQ(ToGrpcStatus(absl::InternalError("a\xff")).error_message(), "a\uFFFD");
}

}  // namespace
}  // namespace weft::gateway
