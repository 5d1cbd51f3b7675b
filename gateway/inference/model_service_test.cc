#include "gateway/inference/model_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/inference/service_fixture.h"

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using ModelServiceTest = ServiceFixture;

std::string Payload(const absl::Status& status, const char* name) {
  return std::string(status.GetPayload(name).value_or(absl::Cord()));
}

TEST_F(ModelServiceTest, ACompletionRunsFromTextToText) {
  StartedRequest started = MustStart(Completion("hi"));
  const v1::Submit submit = scheduler_->Next().submit();
  // <bos>, h, i; the model's own sampling defaults; its end-of-text id.
  EXPECT_THAT(submit.prompt_tokens(), ElementsAre(263, 'h', 'i'));
  EXPECT_FLOAT_EQ(submit.sampling().temperature(), 0.6f);
  EXPECT_FLOAT_EQ(submit.sampling().top_p(), 0.95f);
  EXPECT_THAT(submit.sampling().stop_token_ids(), ElementsAre(kEos));
  EXPECT_EQ(submit.max_tokens(), 16u);
  EXPECT_NEAR(submit.timeout_ms(), 3600000, 2000);
  EXPECT_EQ(started.prompt_tokens, 3);
  EXPECT_EQ(started.model, "tiny");

  scheduler_->SendTokens(submit.handle(), 0, Ids("wor"));
  scheduler_->SendTokens(submit.handle(), 3, {'l', 'd', kEos});
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP, 2);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.content[0], "world");
  ASSERT_EQ(answer.finished.size(), 1u);
  EXPECT_EQ(answer.finished[0].reason, FinishReason::kStop);
  EXPECT_EQ(answer.finished[0].stop_token, -1);
  EXPECT_EQ(answer.usage->prompt_tokens, 3);
  EXPECT_EQ(answer.usage->completion_tokens, 6);
  EXPECT_EQ(answer.usage->cached_tokens, 2);
  EXPECT_EQ(answer.num_tokens, 5);
}

TEST_F(ModelServiceTest, AChatAnswersWithReasoningAndContentApart) {
  StartedRequest started = MustStart(Chat("hi"));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_EQ(submit.max_tokens(), static_cast<uint32_t>(ScriptedScheduler::kContext) -
                                     static_cast<uint32_t>(started.prompt_tokens));
  std::vector<int32_t> ids = Ids("hm\n");
  ids.push_back(kEndThink);
  for (int32_t id : Ids("\n\n42")) ids.push_back(id);
  ids.push_back(kEos);
  scheduler_->SendTokens(submit.handle(), 0, ids);
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.reasoning[0], "hm");
  EXPECT_EQ(answer.content[0], "42");
  EXPECT_EQ(answer.usage->reasoning_tokens, 3);
}

TEST_F(ModelServiceTest, AStopStringEndsTheChoiceAndIsConcludedUpstream) {
  Request request = Completion("x");
  request.options.stop = {"END"};
  StartedRequest started = MustStart(std::move(request));
  const uint32_t handle = scheduler_->Next().submit().handle();
  scheduler_->SendTokens(handle, 0, Ids("abEND and more"));
  const v1::Conclude conclude = scheduler_->Next().conclude();
  EXPECT_EQ(conclude.handle(), handle);
  EXPECT_EQ(conclude.num_tokens(), 5u);
  scheduler_->Finish(handle, v1::FINISH_REASON_STOP);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.content[0], "ab");
  EXPECT_EQ(answer.finished[0].stop_string, "END");
  EXPECT_EQ(answer.usage->completion_tokens, 5);
}

TEST_F(ModelServiceTest, ChoicesAreSequencesWithSeedsOfTheirOwn) {
  Request request = Completion("x");
  request.options.n = 3;
  request.options.seed = -5;
  StartedRequest started = MustStart(std::move(request));
  std::vector<uint32_t> handles;
  std::set<uint64_t> seeds;
  for (int i = 0; i < 3; ++i) {
    const v1::Submit submit = scheduler_->Next().submit();
    handles.push_back(submit.handle());
    seeds.insert(submit.sampling().seed());
  }
  EXPECT_EQ(seeds.size(), 3u);
  EXPECT_TRUE(seeds.contains(static_cast<uint64_t>(-5)));
  for (uint32_t i = 0; i < 3; ++i) {
    scheduler_->SendTokens(handles[i], 0, Ids(std::string(i + 1, 'a')));
    scheduler_->Finish(handles[i], v1::FINISH_REASON_LENGTH);
  }
  const Answer answer = ReadAll(started);
  EXPECT_THAT(answer.content, ElementsAre("a", "aa", "aaa"));
  EXPECT_EQ(answer.usage->completion_tokens, 6);
  EXPECT_EQ(answer.usage->prompt_tokens, 2);
}

TEST_F(ModelServiceTest, LogprobsStandBesideTheirTokens) {
  Request request = Completion("x");
  request.options.logprobs = 1;
  StartedRequest started = MustStart(std::move(request));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_EQ(submit.sampling().num_logprobs(), 1u);
  scheduler_->SendTokens(submit.handle(), 0, {'a', 0xc3, 0xa9, kEos}, {-1, -2, -3, -4});
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.content[0], "aé");
  ASSERT_EQ(answer.logprobs.size(), 3u);
  EXPECT_EQ(answer.logprobs[1].token.token, "\xc3");
  EXPECT_EQ(answer.logprobs[2].token.logprob, -3);
  EXPECT_EQ(answer.logprobs[2].top[0].id, 0xa9);
}

TEST_F(ModelServiceTest, PromptLogprobsAreAskedForOnceAndComeWithTheLastEvent) {
  Request request = Completion("a\xc3\xa4");
  request.options.prompt_logprobs = 1;
  request.options.n = 2;
  StartedRequest started = MustStart(std::move(request));
  const v1::Submit first = scheduler_->Next().submit(), second = scheduler_->Next().submit();
  EXPECT_EQ(first.sampling().num_prompt_logprobs(), 1u);
  EXPECT_FALSE(second.sampling().has_num_prompt_logprobs());
  ASSERT_EQ(first.prompt_tokens_size(), 4);  // behind BOS
  scheduler_->SendPromptLogprobs(first.handle(), 1, {-1, -2});
  scheduler_->SendPromptLogprobs(first.handle(), 3, {-3});
  for (const v1::Submit& submit : {first, second}) {
    scheduler_->SendTokens(submit.handle(), 0, {'b', kEos});
    scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP);
  }
  const Answer answer = ReadAll(started);
  ASSERT_EQ(answer.prompt_logprobs.size(), 4u);
  EXPECT_EQ(answer.prompt_logprobs[0].token.id, first.prompt_tokens(0));
  EXPECT_EQ(answer.prompt_logprobs[0].rank, 0);
  EXPECT_EQ(answer.prompt_logprobs[1].token.token, "a");
  EXPECT_EQ(answer.prompt_logprobs[2].token.token, "\xc3");
  EXPECT_EQ(answer.prompt_logprobs[3].token.logprob, -3);
  EXPECT_EQ(answer.prompt_logprobs[3].rank, 2);
  EXPECT_EQ(answer.prompt_logprobs[3].top.at(0).token, "z");
}

TEST_F(ModelServiceTest, DestroyingTheStreamCancelsEveryChoice) {
  Request request = Completion("x");
  request.options.n = 2;
  StartedRequest started = MustStart(std::move(request));
  const uint32_t first = scheduler_->Next().submit().handle();
  const uint32_t second = scheduler_->Next().submit().handle();
  started.events.reset();
  EXPECT_EQ(scheduler_->Next().cancel().handle(), first);
  EXPECT_EQ(scheduler_->Next().cancel().handle(), second);
  EXPECT_EQ(counts_.client_disconnects.Value(), 1);
  EXPECT_EQ(counts_.in_flight.Value(), 0);
}

TEST_F(ModelServiceTest, ARejectionIsTheOnlyEventAndCarriesItsAdvice) {
  struct Case {
    v1::RejectCode code;
    absl::StatusCode status;
  };
  for (const Case& c : {Case{v1::REJECT_CODE_INVALID, absl::StatusCode::kInvalidArgument},
                        Case{v1::REJECT_CODE_QUEUE_FULL, absl::StatusCode::kUnavailable},
                        Case{v1::REJECT_CODE_QUOTA, absl::StatusCode::kResourceExhausted},
                        Case{v1::REJECT_CODE_NO_WORKER, absl::StatusCode::kUnavailable},
                        Case{v1::REJECT_CODE_DRAINING, absl::StatusCode::kUnavailable}}) {
    StartedRequest started = MustStart(Completion("x"));
    scheduler_->Reject(scheduler_->Next().submit().handle(), c.code, "because", 1500);
    const Answer answer = ReadAll(started);
    ASSERT_TRUE(answer.failed);
    EXPECT_EQ(answer.failed->status.code(), c.status);
    EXPECT_EQ(answer.failed->status.message(), "because");
    EXPECT_EQ(answer.failed->retry_after, absl::Milliseconds(1500));
  }
}

TEST_F(ModelServiceTest, OneFailedChoiceFailsTheRequestAndCancelsTheOthers) {
  Request request = Completion("x");
  request.options.n = 2;
  StartedRequest started = MustStart(std::move(request));
  const uint32_t first = scheduler_->Next().submit().handle();
  const uint32_t second = scheduler_->Next().submit().handle();
  scheduler_->SendTokens(first, 0, Ids("a"));
  scheduler_->Finish(second, v1::FINISH_REASON_ERROR, 0, "not a number");
  const Answer answer = ReadAll(started);
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->status, absl::InternalError("not a number"));
  EXPECT_EQ(scheduler_->Next().cancel().handle(), first);
}

TEST_F(ModelServiceTest, ATimeoutIsToldAsOne) {
  Request request = Completion("x");
  request.timeout_ms = 1500;
  StartedRequest started = MustStart(std::move(request));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_LE(submit.timeout_ms(), 1500u);
  EXPECT_GT(submit.timeout_ms(), 500u);
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_TIMEOUT);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.failed->status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(answer.failed->status.message()), HasSubstr("1.5 seconds"));
}

TEST_F(ModelServiceTest, AStreamOutlivesItsScheduler) {
  Request request = Completion("x");
  request.options.seed = 7;
  StartedRequest started = MustStart(std::move(request));
  const v1::Submit submit = scheduler_->Next().submit();
  scheduler_->SendTokens(submit.handle(), 0, Ids("ab"));
  Await([&] { return counts_.time_to_first_token.Collect().histogram.sample_count == 1; });

  const int port = scheduler_->port();
  scheduler_->Stop();
  Await([&] { return !service_->Ready().ok(); });
  EXPECT_EQ(Start(Completion("y")).status().code(), absl::StatusCode::kUnavailable);

  scheduler_ = std::make_unique<ScriptedScheduler>(port, /*epoch=*/2);
  const v1::GatewayFrame frame = scheduler_->Next();
  EXPECT_EQ(frame.epoch(), 2u);
  EXPECT_THAT(frame.submit().prompt_tokens(), ElementsAre(263, 'x'));
  EXPECT_THAT(frame.submit().delivered_tokens(), ElementsAre('a', 'b'));
  EXPECT_EQ(frame.submit().sampling().seed(), 7u);
  scheduler_->SendTokens(frame.submit().handle(), 2, Ids("cd"));
  scheduler_->Finish(frame.submit().handle(), v1::FINISH_REASON_LENGTH);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.content[0], "abcd");
  EXPECT_EQ(answer.usage->completion_tokens, 4);
}

TEST_F(ModelServiceTest, ASchedulerThatStaysAwayEndsTheStreamWithAnError) {
  MakeService({.gateway_id = "test", .recovery_wait = std::chrono::milliseconds(100)});
  StartedRequest started = MustStart(Completion("x"));
  scheduler_->Next();
  scheduler_->Stop();
  const Answer answer = ReadAll(started);
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(answer.failed->status.message()), HasSubstr("did not come back"));
}

TEST_F(ModelServiceTest, DeltasNotTakenAreMerged) {
  StartedRequest started = MustStart(Completion("x"));
  const uint32_t handle = scheduler_->Next().submit().handle();
  for (uint32_t i = 0; i < 10; ++i) scheduler_->SendTokens(handle, i, Ids("a"));
  scheduler_->Finish(handle, v1::FINISH_REASON_LENGTH);
  Await([&] { return counts_.completed.Value() == 1; });
  std::vector<Event> events = started.events->Take();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(std::get<Delta>(events[0]).content, "aaaaaaaaaa");
  EXPECT_EQ(std::get<Delta>(events[0]).num_tokens, 10);
  EXPECT_TRUE(std::holds_alternative<ChoiceFinished>(events[1]));
  EXPECT_TRUE(std::holds_alternative<Completed>(events[2]));
  EXPECT_TRUE(started.events->Take().empty());
}

TEST_F(ModelServiceTest, WhatCannotRunIsRefusedBeforeTheScheduler) {
  const auto refused = [this](Request request) { return Start(std::move(request)).status(); };
  Request request = Completion("x");
  request.model = "../../etc/passwd";
  absl::Status status = refused(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Payload(status, kParamPayload), "model");

  status = refused(Completion(std::string(300, 'a')));
  EXPECT_EQ(Payload(status, kCodePayload), "context_length_exceeded");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("This model's maximum context length is 200 tokens."));
  status = refused(Completion(std::string(1 << 20, 'a')));
  EXPECT_EQ(Payload(status, kCodePayload), "context_length_exceeded");

  request = Completion("x");
  request.options.max_tokens = 199;
  status = refused(request);
  EXPECT_EQ(Payload(status, kCodePayload), "context_length_exceeded");
  EXPECT_EQ(Payload(status, kParamPayload), "max_tokens");

  request.prompt = TokenPrompt{{1, 269}};
  status = refused(request);
  EXPECT_EQ(Payload(status, kParamPayload), "prompt");
  request.prompt = TokenPrompt{};
  status = refused(request);
  EXPECT_EQ(Payload(status, kParamPayload), "prompt");
  request.prompt = ChatPrompt{};
  EXPECT_EQ(Payload(refused(request), kParamPayload), "messages");
  request.prompt = ChatPrompt{.messages = {{.role = "wizard"}}};
  EXPECT_EQ(Payload(refused(request), kParamPayload), "messages[0].role");
  EXPECT_EQ(counts_.accepted.Value(), 0);
}

TEST_F(ModelServiceTest, DrainingRefusesTheNewAndEndsTheOld) {
  StartedRequest started = MustStart(Completion("x"));
  const uint32_t handle = scheduler_->Next().submit().handle();
  service_->Drain();
  EXPECT_EQ(service_->Ready().code(), absl::StatusCode::kUnavailable);
  const absl::Status status = Start(Completion("y")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(Payload(status, kRetryAfterPayload), "");
  scheduler_->SendTokens(handle, 0, Ids("a"));
  scheduler_->Finish(handle, v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(ReadAll(started).content[0], "a");
}

TEST_F(ModelServiceTest, ModelsAndTokenizingAnswerWithoutTheScheduler) {
  const std::vector<ModelInfo> models = service_->Models();
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].id, "tiny");
  EXPECT_EQ(models[1].id, "alias");
  EXPECT_EQ(models[0].max_model_len, ScriptedScheduler::kContext);
  scheduler_->Stop();
  EXPECT_THAT(*service_->Tokenize(Completion("hi")), ElementsAre(263, 'h', 'i'));
  EXPECT_EQ(*service_->Detokenize("", {'h', 'i', kEos}), "hi<eos>");
  EXPECT_EQ(service_->Detokenize("", {-1}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(service_->TokenText("", 0xc3), "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace weft::gateway
