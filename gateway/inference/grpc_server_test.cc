#include "gateway/inference/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/version.h"
#include "gateway/inference/service_fixture.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "weft/v1/inference.grpc.pb.h"

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

// A client's call through the service to the scripted scheduler and back.
class GrpcServerTest : public ServiceFixture {
 protected:
  GrpcServerTest() {
    auto server = GrpcServer::Start({.host = "127.0.0.1", .port = 0}, *router_);
    if (!server.ok()) ADD_FAILURE() << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::InferenceService::NewStub(channel_);
  }
  ~GrpcServerTest() override { server_.reset(); }

  static v1::ChatRequest Hello() {
    v1::ChatRequest request;
    v1::ChatMessage& message = *request.add_messages();
    message.set_role("user");
    message.set_content("hi");
    return request;
  }
  static v1::CompletionRequest Text(const std::string& text) {
    v1::CompletionRequest request;
    request.set_text(text);
    return request;
  }

  // Plays the next submitted sequence: `text`, then the end.
  std::thread Play(const std::string& text) {
    return std::thread([this, text] {
      const uint32_t handle = scheduler_->Next().submit().handle();
      uint32_t index = 0;
      for (int32_t id : Ids(text)) scheduler_->SendTokens(handle, index++, {id});
      scheduler_->SendTokens(handle, index, {kEos});
      scheduler_->Finish(handle, v1::FINISH_REASON_STOP);
    });
  }

  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
  grpc::ClientContext context_;
};

TEST_F(GrpcServerTest, ChatAnswersWhole) {
  std::thread scheduler([this] {
    const uint32_t handle = scheduler_->Next().submit().handle();
    scheduler_->SendTokens(handle, 0, {'h', 'm', kEndThink, '4', '2', kEos});
    scheduler_->Finish(handle, v1::FINISH_REASON_STOP);
  });
  v1::ChatResponse response;
  const grpc::Status status = stub_->Chat(&context_, Hello(), &response);
  scheduler.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "tiny");
  EXPECT_THAT(response.id(), HasSubstr("chatcmpl-"));
  ASSERT_EQ(response.choices_size(), 1);
  EXPECT_EQ(response.choices(0).message().role(), "assistant");
  EXPECT_EQ(response.choices(0).message().content(), "42");
  EXPECT_EQ(response.choices(0).message().reasoning_content(), "hm");
  EXPECT_EQ(response.choices(0).finish_reason(), "stop");
  EXPECT_EQ(response.usage().completion_tokens(), 6u);
  EXPECT_EQ(response.usage().reasoning_tokens(), 2u);
}

TEST_F(GrpcServerTest, ChunksAddUpAndTheLastCarriesUsage) {
  std::thread scheduler = Play("hello there");
  auto reader = stub_->StreamComplete(&context_, Text("x"));
  v1::CompletionChunk chunk;
  std::string text, finish_reason;
  bool had_usage = false;
  while (reader->Read(&chunk)) {
    EXPECT_FALSE(had_usage) << "usage before the last chunk";
    for (const auto& choice : chunk.choices()) {
      text += choice.text();
      finish_reason += choice.finish_reason();
    }
    had_usage = chunk.has_usage();
  }
  scheduler.join();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(text, "hello there");
  EXPECT_EQ(finish_reason, "stop");
  EXPECT_TRUE(had_usage);
}

TEST_F(GrpcServerTest, HalfACharacterInALogprobIsStillAString) {
  std::thread scheduler([this] {
    const uint32_t handle = scheduler_->Next().submit().handle();
    scheduler_->SendTokens(handle, 0, {0xc3, 0xa9}, {-1, -2});
    scheduler_->Finish(handle, v1::FINISH_REASON_LENGTH);
  });
  v1::CompletionRequest request = Text("x");
  request.mutable_options()->set_logprobs(1);
  v1::CompletionResponse response;
  const grpc::Status status = stub_->Complete(&context_, request, &response);
  scheduler.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.choices(0).text(), "é");
  EXPECT_EQ(response.choices(0).finish_reason(), "length");
  EXPECT_EQ(response.choices(0).logprobs(0).token().token(), "\uFFFD");
  EXPECT_EQ(response.choices(0).logprobs(0).token().token_bytes(), "\xc3");
}

TEST_F(GrpcServerTest, AClientThatGoesCancelsItsSequences) {
  auto reader = stub_->StreamComplete(&context_, Text("x"));
  const uint32_t handle = scheduler_->Next().submit().handle();
  scheduler_->SendTokens(handle, 0, {'a'});
  v1::CompletionChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  context_.TryCancel();
  EXPECT_EQ(scheduler_->Next().cancel().handle(), handle);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(GrpcServerTest, AClientThatGoesWhileWaitingForAWholeAnswerCancels) {
  std::thread client([this] {
    v1::CompletionResponse response;
    EXPECT_EQ(stub_->Complete(&context_, Text("x"), &response).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  const uint32_t handle = scheduler_->Next().submit().handle();
  context_.TryCancel();
  EXPECT_EQ(scheduler_->Next().cancel().handle(), handle);
  client.join();
}

TEST_F(GrpcServerTest, ACallsDeadlineIsItsRequestsTimeout) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  std::thread client([this] {
    v1::CompletionResponse response;
    EXPECT_EQ(stub_->Complete(&context_, Text("x"), &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  });
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_LE(submit.timeout_ms(), 21000u);  // it travels rounded
  EXPECT_GT(submit.timeout_ms(), 10000u);
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_TIMEOUT);
  client.join();
}

TEST_F(GrpcServerTest, ErrorsAreStatusesWithTheirMessages) {
  v1::CompletionRequest request = Text("x");
  request.mutable_options()->set_temperature(7);
  v1::CompletionResponse response;
  grpc::Status status = stub_->Complete(&context_, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("temperature must be between 0 and 2"));

  grpc::ClientContext unknown;
  request.set_model("other");
  status = stub_->Complete(&unknown, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);

  grpc::ClientContext empty;
  status = stub_->Complete(&empty, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcServerTest, AnErrorsDetailsReachTheClient) {
  v1::CompletionRequest request = Text("x");
  request.mutable_options()->set_n(2);
  request.mutable_options()->set_temperature(0);
  v1::CompletionResponse response;
  const grpc::Status status = stub_->Complete(&context_, request, &response);
  google::rpc::Status rich;
  ASSERT_TRUE(rich.ParseFromString(status.error_details()));
  EXPECT_EQ(rich.code(), grpc::StatusCode::INVALID_ARGUMENT);
  google::rpc::BadRequest bad_request;
  ASSERT_EQ(rich.details_size(), 1);
  ASSERT_TRUE(rich.details(0).UnpackTo(&bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "n");
}

TEST_F(GrpcServerTest, ARejectionCarriesItsAdvice) {
  std::thread scheduler([this] {
    scheduler_->Reject(scheduler_->Next().submit().handle(), v1::REJECT_CODE_QUEUE_FULL, "full",
                       1500);
  });
  auto reader = stub_->StreamChat(&context_, Hello());
  v1::ChatChunk chunk;
  EXPECT_FALSE(reader->Read(&chunk));
  const grpc::Status status = reader->Finish();
  scheduler.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "full");
  const auto& trailers = context_.GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, trailers.end());
  EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()), "1500");
  google::rpc::Status rich;
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(rich.ParseFromString(status.error_details()));
  ASSERT_EQ(rich.details_size(), 1);
  ASSERT_TRUE(rich.details(0).UnpackTo(&retry));
  EXPECT_EQ(rich.details(0).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
}

TEST_F(GrpcServerTest, TokensInTokensOut) {
  std::thread scheduler([this] {
    const v1::Submit submit = scheduler_->Next().submit();
    EXPECT_THAT(submit.prompt_tokens(), ElementsAre('x', 'y'));
    scheduler_->SendTokens(submit.handle(), 0, {'a', 'b', kEos});
    scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP);
  });
  v1::CompletionRequest request;
  request.mutable_tokens()->add_ids('x');
  request.mutable_tokens()->add_ids('y');
  request.mutable_options()->set_return_token_ids(true);
  v1::CompletionResponse response;
  const grpc::Status status = stub_->Complete(&context_, request, &response);
  scheduler.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response.prompt_token_ids(), ElementsAre('x', 'y'));
  EXPECT_THAT(response.choices(0).token_ids(), ElementsAre('a', 'b', kEos));
  EXPECT_EQ(response.usage().completion_tokens(), 3u);
  EXPECT_EQ(response.choices(0).text(), "ab");
}

TEST_F(GrpcServerTest, StreamedTokensComeOnceAndThePromptFirst) {
  v1::ChatRequest request = Hello();
  request.mutable_options()->set_return_token_ids(true);
  request.mutable_options()->add_stop("bc!");  // holds text back, not its ids
  auto reader = stub_->StreamChat(&context_, request);
  const v1::Submit submit = scheduler_->Next().submit();
  scheduler_->SendTokens(submit.handle(), 0, {kEndThink, 'a', 'b', 'c'});
  v1::ChatChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  const std::vector<int32_t> prompt(submit.prompt_tokens().begin(), submit.prompt_tokens().end());
  EXPECT_THAT(chunk.prompt_token_ids(), ElementsAreArray(prompt));
  EXPECT_THAT(chunk.choices(0).token_ids(), ElementsAre(kEndThink, 'a', 'b', 'c'));
  EXPECT_EQ(chunk.choices(0).message().content(), "a");
  scheduler_->SendTokens(submit.handle(), 4, {'!'});
  EXPECT_EQ(scheduler_->Next().conclude().num_tokens(), 5u);
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP);
  std::vector<int32_t> ids;
  std::string text;
  while (reader->Read(&chunk)) {
    EXPECT_EQ(chunk.prompt_token_ids_size(), 0);
    for (const auto& choice : chunk.choices()) {
      ids.insert(ids.end(), choice.token_ids().begin(), choice.token_ids().end());
      text += choice.message().content();
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(ids, ElementsAre('!'));
  EXPECT_EQ(text, "");
}

TEST_F(GrpcServerTest, NobodyIsToldIdsWhoHasNotAsked) {
  std::thread scheduler = Play("hi");
  v1::CompletionResponse response;
  ASSERT_TRUE(stub_->Complete(&context_, Text("x"), &response).ok());
  scheduler.join();
  EXPECT_EQ(response.choices(0).token_ids_size(), 0);
  EXPECT_EQ(response.prompt_token_ids_size(), 0);
}

TEST_F(GrpcServerTest, AGrammarGoesToTheWorkers) {
  v1::CompletionRequest request = Text("x");
  request.mutable_options()->mutable_choice()->add_values("yes");
  request.mutable_options()->mutable_choice()->add_values("no");
  std::thread scheduler([this] {
    const v1::Submit submit = scheduler_->Next().submit();
    EXPECT_EQ(submit.sampling().grammar().kind(), v1::GRAMMAR_KIND_CHOICE);
    EXPECT_EQ(submit.sampling().grammar().text(), R"(["yes","no"])");
    scheduler_->SendTokens(submit.handle(), 0, {'n', 'o', kEos});
    scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP);
  });
  v1::CompletionResponse response;
  const grpc::Status status = stub_->Complete(&context_, request, &response);
  scheduler.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.choices(0).text(), "no");

  grpc::ClientContext second;
  request.mutable_options()->set_regex("(");
  EXPECT_EQ(stub_->Complete(&second, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcServerTest, AStreamThatFailsKeepsWhatItHad) {
  std::thread scheduler([this] {
    const uint32_t handle = scheduler_->Next().submit().handle();
    v1::SchedulerFrame frame;
    frame.mutable_tokens()->add_handles(handle);
    frame.mutable_tokens()->add_first_indexes(0);
    frame.mutable_tokens()->add_counts(1);
    frame.mutable_tokens()->add_tokens('a');
    frame.add_finished()->set_handle(handle);
    frame.mutable_finished(0)->set_reason(v1::FINISH_REASON_ERROR);
    scheduler_->Send(frame);
  });
  auto reader = stub_->StreamComplete(&context_, Text("x"));
  v1::CompletionChunk chunk;
  std::string text;
  while (reader->Read(&chunk)) {
    for (const auto& choice : chunk.choices()) text += choice.text();
  }
  scheduler.join();
  EXPECT_EQ(text, "a");
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INTERNAL);
}

TEST_F(GrpcServerTest, AMessageBeyondTheLimitIsResourceExhausted) {
  v1::CompletionResponse response;
  const grpc::Status status =
      stub_->Complete(&context_, Text(std::string(5 << 20, 'a')), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcServerTest, ModelsAndTokens) {
  v1::ListModelsResponse models;
  ASSERT_TRUE(stub_->ListModels(&context_, {}, &models).ok());
  EXPECT_EQ(models.models(0).id(), "tiny");
  EXPECT_EQ(models.models(0).max_model_len(), 500u);

  v1::TokenizeRequest tokenize;
  tokenize.set_text("hi");
  tokenize.set_add_special_tokens(false);
  v1::TokenizeResponse tokens;
  grpc::ClientContext second;
  ASSERT_TRUE(stub_->Tokenize(&second, tokenize, &tokens).ok());
  EXPECT_THAT(tokens.tokens(), ElementsAre('h', 'i'));
  EXPECT_EQ(tokens.max_model_len(), static_cast<uint32_t>(ScriptedScheduler::kContext));
  EXPECT_EQ(tokens.token_strs_size(), 0);

  grpc::ClientContext with_strs;
  tokenize.set_return_token_strs(true);
  ASSERT_TRUE(stub_->Tokenize(&with_strs, tokenize, &tokens).ok());
  EXPECT_THAT(tokens.token_strs(), ElementsAre("h", "i"));

  v1::DetokenizeRequest detokenize;
  detokenize.add_tokens('h');
  v1::DetokenizeResponse text;
  grpc::ClientContext third;
  ASSERT_TRUE(stub_->Detokenize(&third, detokenize, &text).ok());
  EXPECT_EQ(text.text(), "h");
}

TEST_F(GrpcServerTest, WhatTheServerIs) {
  v1::GetTokenizerInfoResponse tokenizer;
  ASSERT_TRUE(stub_->GetTokenizerInfo(&context_, {}, &tokenizer).ok());
  const auto& info = tokenizer.info().fields();
  EXPECT_THAT(info.at("chat_template").string_value(), HasSubstr("add_generation_prompt"));

  grpc::ClientContext unknown;
  v1::GetTokenizerInfoRequest other;
  other.set_model("other");
  EXPECT_EQ(stub_->GetTokenizerInfo(&unknown, other, &tokenizer).error_code(),
            grpc::StatusCode::NOT_FOUND);

  v1::GetVersionResponse version;
  grpc::ClientContext third;
  ASSERT_TRUE(stub_->GetVersion(&third, {}, &version).ok());
  EXPECT_EQ(version.version(), kVersion);
}

TEST_F(GrpcServerTest, HealthFollowsWhatTheServerIsTold) {
  auto health = grpc::health::v1::Health::NewStub(channel_);
  const auto check = [&health](const std::string& service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = health->Check(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.status();
  };
  for (const std::string service : {"", "weft.v1.InferenceService"}) {
    server_->SetServing(false);
    EXPECT_EQ(check(service), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
    server_->SetServing(true);
    EXPECT_EQ(check(service), grpc::health::v1::HealthCheckResponse::SERVING);
  }
}

TEST_F(GrpcServerTest, ATakenPortIsAnError) {
  const auto second = GrpcServer::Start({.host = "127.0.0.1", .port = server_->port()}, *router_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcServerTest, ShutdownWaitsForStreams) {
  auto reader = stub_->StreamComplete(&context_, Text("x"));
  const uint32_t handle = scheduler_->Next().submit().handle();
  std::thread shutdown([this] { server_->Shutdown(std::chrono::seconds(10)); });
  scheduler_->SendTokens(handle, 0, {'a', kEos});
  scheduler_->Finish(handle, v1::FINISH_REASON_STOP);
  v1::CompletionChunk chunk;
  while (reader->Read(&chunk)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  shutdown.join();
}

TEST_F(GrpcServerTest, PromptLogprobsComeWithTheWholeAnswerOnly) {
  std::thread scheduler([this] {
    const uint32_t handle = scheduler_->Next().submit().handle();
    scheduler_->SendPromptLogprobs(handle, 1, {-1, -2});
    scheduler_->SendTokens(handle, 0, {'b', kEos});
    scheduler_->Finish(handle, v1::FINISH_REASON_STOP);
  });
  v1::CompletionRequest request = Text("xy");
  request.mutable_options()->set_prompt_logprobs(1);
  v1::CompletionResponse response;
  const grpc::Status status = stub_->Complete(&context_, request, &response);
  scheduler.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.prompt_logprobs_size(), 3);
  EXPECT_EQ(response.prompt_logprobs(0).rank(), 0u);
  EXPECT_EQ(response.prompt_logprobs(0).top_size(), 0);
  EXPECT_EQ(response.prompt_logprobs(2).token().token(), "y");
  EXPECT_EQ(response.prompt_logprobs(2).token().logprob(), -2);
  EXPECT_EQ(response.prompt_logprobs(2).rank(), 2u);
  EXPECT_EQ(response.prompt_logprobs(2).top(0).token(), "z");

  grpc::ClientContext context;
  const auto stream = stub_->StreamComplete(&context, request);
  v1::CompletionChunk chunk;
  EXPECT_FALSE(stream->Read(&chunk));
  const grpc::Status refused = stream->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("prompt_logprobs"));
}

}  // namespace
}  // namespace weft::gateway
