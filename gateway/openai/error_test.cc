#include "gateway/openai/error.h"

#include <boost/json/parse.hpp>
#include <map>
#include <string>

#include "gateway/inference/service.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

namespace json = boost::json;

std::string Header(const http::HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(Error, EveryCodeHasItsStatus) {
  const std::map<absl::StatusCode, int> expected = {
      {absl::StatusCode::kInvalidArgument, 400},    {absl::StatusCode::kOutOfRange, 400},
      {absl::StatusCode::kUnauthenticated, 401},    {absl::StatusCode::kPermissionDenied, 403},
      {absl::StatusCode::kNotFound, 404},           {absl::StatusCode::kResourceExhausted, 429},
      {absl::StatusCode::kCancelled, 499},          {absl::StatusCode::kUnimplemented, 501},
      {absl::StatusCode::kUnavailable, 503},        {absl::StatusCode::kDeadlineExceeded, 504},
      {absl::StatusCode::kInternal, 500},           {absl::StatusCode::kUnknown, 500},
      {absl::StatusCode::kFailedPrecondition, 500}, {absl::StatusCode::kDataLoss, 500}};
  for (const auto& [code, status] : expected) {
    EXPECT_EQ(ErrorResponse(absl::Status(code, "x")).status, status) << code;
  }
}

TEST(Error, BodyHasOpenAisFourFields) {
  absl::Status status = ParamError("n", "must be \"1\"\n");
  const json::value error = json::parse(ErrorBody(status)).at("error");
  EXPECT_EQ(error.at("message"), "must be \"1\"\n");
  EXPECT_EQ(error.at("type"), "invalid_request_error");
  EXPECT_EQ(error.at("param"), "n");
  EXPECT_TRUE(error.at("code").is_null());
  status.SetPayload(gateway::kCodePayload, absl::Cord("context_length_exceeded"));
  EXPECT_EQ(json::parse(ErrorBody(status)).at("error").at("code"), "context_length_exceeded");
  EXPECT_TRUE(json::parse(ErrorBody(absl::InternalError("x"))).at("error").at("param").is_null());
}

TEST(Error, AVersionThatIsNotSpokenIsTheClientsFault) {
  EXPECT_EQ(json::parse(ErrorResponse(505, "x").body).at("error").at("type"),
            "invalid_request_error");
  EXPECT_EQ(json::parse(ErrorResponse(500, "x").body).at("error").at("type"), "server_error");
}

TEST(Error, OverloadAlwaysSaysWhenToComeBack) {
  absl::Status status = absl::UnavailableError("full");
  EXPECT_EQ(Header(ErrorResponse(status), "Retry-After"), "1");
  EXPECT_EQ(Header(ErrorResponse(status, absl::Milliseconds(1200)), "Retry-After"), "2");
  status.SetPayload(gateway::kRetryAfterPayload, absl::Cord("4500"));
  EXPECT_EQ(Header(ErrorResponse(status), "Retry-After"), "5");
  EXPECT_EQ(Header(ErrorResponse(status), "retry-after-ms"), "4500");
  EXPECT_EQ(Header(ErrorResponse(absl::ResourceExhaustedError("quota")), "Retry-After"), "1");
  EXPECT_EQ(Header(ErrorResponse(absl::InternalError("x")), "Retry-After"), "");
}

TEST(Error, AMessageThatIsNoUtf8IsStillJson) {
  EXPECT_EQ(json::parse(ErrorBody(absl::InternalError("a\xff\xe4z"))).at("error").at("message"),
            "a\xEF\xBF\xBD\xEF\xBF\xBDz");
}

}  // namespace
}  // namespace weft::openai
