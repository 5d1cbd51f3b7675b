#include "gateway/inference/model_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/inference/service_fixture.h"

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using ModelServiceTest = ServiceFixture;

std::string Payload(const absl::Status& status, const char* name) {
  return std::string(status.GetPayload(name).value_or(absl::Cord()));
}

TEST_F(ModelServiceTest, AFullQueueRefusesBeforeAnythingIsEncodedOrSent) {
  const auto tell = [&](uint32_t retry_after_ms) {
    v1::SchedulerFrame frame;
    frame.mutable_load()->set_num_ready_workers(1);
    frame.mutable_load()->set_num_waiting(7);
    frame.mutable_load()->set_retry_after_ms(retry_after_ms);
    scheduler_->Send(frame);
    Await([&] { return upstream_->state().retry_after.count() == retry_after_ms; });
  };
  tell(2500);
  const auto refused = Start(Completion("hi"));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(refused.status().message(), "The queue is full with 7 requests.");
  EXPECT_EQ(Payload(refused.status(), kRetryAfterPayload), "2500");
  EXPECT_TRUE(service_->Ready().ok()) << "a full queue is no reason to be taken out of service";
  tell(0);
  Request request = Completion("hi");
  request.tenant = "a";
  StartedRequest started = MustStart(std::move(request));
  // What was refused has left nothing: this is the first frame.
  EXPECT_EQ(scheduler_->Next().submit().tenant(), "a");
}

TEST_F(ModelServiceTest, ATenantsNameIsJudged) {
  for (const std::string& tenant :
       {std::string(200, 'a'), std::string("a b"), std::string("\xc3")}) {
    Request request = Completion("hi");
    request.tenant = tenant;
    const auto refused = Start(std::move(request));
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("128 visible ASCII"));
  }
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
  EXPECT_EQ(counts_.refused.Value(), 5);
  EXPECT_EQ(counts_.failed.Value(), 0) << "it never ran";
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

TEST_F(ModelServiceTest, WhatComesBetweenTwoSchedulersWaitsForTheNext) {
  const int port = scheduler_->port();
  scheduler_->Stop();
  Await([&] { return !service_->Ready().ok(); });
  StartedRequest started = MustStart(Completion("y"));
  scheduler_ = std::make_unique<ScriptedScheduler>(port, /*epoch=*/2);
  const v1::GatewayFrame frame = scheduler_->Next();
  EXPECT_THAT(frame.submit().prompt_tokens(), ElementsAre(263, 'y'));
  scheduler_->SendTokens(frame.submit().handle(), 0, Ids("z"));
  scheduler_->Finish(frame.submit().handle(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(ReadAll(started).content[0], "z");
}

TEST_F(ModelServiceTest, WhatComesWhenTheSchedulerStaysAwayIsRefused) {
  options_.change_of_leader = std::chrono::milliseconds(0);
  MakeService();
  scheduler_->Stop();
  Await([&] { return !service_->Ready().ok(); });
  EXPECT_EQ(Start(Completion("y")).status().code(), absl::StatusCode::kUnavailable);
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
  absl::Status status = refused(Completion(std::string(600, 'a')));
  EXPECT_EQ(Payload(status, kCodePayload), "context_length_exceeded");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("This model's maximum context length is 500 tokens."));
  status = refused(Completion(std::string(1 << 20, 'a')));
  EXPECT_EQ(Payload(status, kCodePayload), "context_length_exceeded");

  Request request = Completion("x");
  request.options.max_tokens = 499;
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
  EXPECT_EQ(*service_->Detokenize({'h', 'i', kEos}), "hi<eos>");
  EXPECT_EQ(service_->Detokenize({-1}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(service_->TokenText(0xc3), "\xEF\xBF\xBD");
}

// ---- tools, reasoning, grammars ----

constexpr std::string_view kAddCall =
    "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";

Request WithTools(Request request, ToolOptions tools = {}) {
  tools.tools.push_back({.name = "add",
                         .parameters = R"({"type":"object","properties":{"a":{"type":"integer"}}})",
                         .definition = R"({"type":"function","function":{"name":"add"}})"});
  std::get<ChatPrompt>(request.prompt).tools = std::move(tools);
  return request;
}

class ToolTest : public ModelServiceTest {
 protected:
  std::string PromptOf(const v1::Submit& submit) {
    const std::vector<int32_t> ids(submit.prompt_tokens().begin(), submit.prompt_tokens().end());
    return *model_->tokenizer->Decode(ids, /*skip_special=*/false);
  }
};

TEST_F(ToolTest, CallsStreamBehindReasoningAndText) {
  StartedRequest started = MustStart(WithTools(Chat("1 and 2?")));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_THAT(PromptOf(submit),
              HasSubstr("You may call these functions"));  // the template does not
  EXPECT_FALSE(submit.sampling().has_grammar());
  std::vector<int32_t> tokens = Ids("<tool_call> may do");
  tokens.push_back(kEndThink);
  const auto rest = Ids("Adding. " + std::string(kAddCall));
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  tokens.push_back(kEos);
  for (size_t i = 0; i < tokens.size(); ++i) {
    scheduler_->SendTokens(submit.handle(), static_cast<int>(i), {tokens[i]});
  }
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP, 0);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.reasoning[0], "<tool_call> may do");
  EXPECT_EQ(answer.content[0], "Adding.");
  ASSERT_EQ(answer.tool_calls.size(), 1u);
  EXPECT_EQ(answer.tool_calls[0].name, "add");
  EXPECT_EQ(answer.tool_calls[0].arguments, R"({"a": 1})");
  EXPECT_EQ(answer.finished[0].reason, FinishReason::kToolCalls);
  EXPECT_EQ(answer.usage->completion_tokens, static_cast<int>(tokens.size()));
}

TEST_F(ToolTest, ChoiceNoneShowsNoToolsAndLooksForNone) {
  StartedRequest started = MustStart(WithTools(Chat("x"), {.choice = ToolChoice::kNone}));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_THAT(PromptOf(submit), Not(HasSubstr("functions")));
  std::vector<int32_t> tokens = {kEndThink};
  const auto rest = Ids(kAddCall);
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  scheduler_->SendTokens(submit.handle(), 0, tokens);
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_LENGTH, 0);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.content[0], kAddCall);
  EXPECT_EQ(answer.finished[0].reason, FinishReason::kLength);
}

TEST_F(ToolTest, WithoutParallelCallsTheFirstConcludesTheChoice) {
  StartedRequest started = MustStart(WithTools(Chat("x"), {.parallel = false}));
  const v1::Submit submit = scheduler_->Next().submit();
  std::vector<int32_t> tokens = {kEndThink};
  const auto rest = Ids(std::string(kAddCall) + std::string(kAddCall));
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  scheduler_->SendTokens(submit.handle(), 0, tokens);
  const v1::GatewayFrame conclude = scheduler_->Next();
  ASSERT_TRUE(conclude.has_conclude());
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP, 0);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.tool_calls.size(), 1u);
  EXPECT_EQ(answer.finished[0].reason, FinishReason::kToolCalls);
  EXPECT_EQ(answer.usage->completion_tokens, static_cast<int>(conclude.conclude().num_tokens()));
  EXPECT_LT(answer.usage->completion_tokens, static_cast<int>(tokens.size()));
}

TEST_F(ToolTest, ARequiredCallIsAGrammarBehindTheReasoning) {
  StartedRequest started = MustStart(WithTools(Chat("x"), {.choice = ToolChoice::kRequired}));
  const v1::Submit submit = scheduler_->Next().submit();
  ASSERT_TRUE(submit.sampling().has_grammar());
  const v1::Grammar& sent = submit.sampling().grammar();
  EXPECT_EQ(sent.after_token(), kEndThink);
  const auto follows = [&](const std::string& text) {
    const Grammar grammar = {Grammar::Kind::kGrammar, sent.text(), kEndThink};
    auto position = model_->grammars->Compile(grammar);
    for (const int32_t id : Ids(text)) {
      if (!position->Consume(id).ok()) return false;
    }
    std::vector<uint32_t> words(10);
    return *position->Mask(words);
  };
  EXPECT_TRUE(follows(std::string(kAddCall)));
  EXPECT_TRUE(follows("\n\n" + std::string(kAddCall) + "\n" + std::string(kAddCall)));
  EXPECT_FALSE(follows("no"));
  EXPECT_FALSE(follows("<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": \"x\"}}"));
}

TEST_F(ToolTest, WhatDoesNotGoTogetherIsRefused) {
  const auto refusal = [&](Request request) {
    const auto started = Start(std::move(request));
    EXPECT_TRUE(absl::IsInvalidArgument(started.status())) << started.status();
    return std::string(started.status().message());
  };
  Request both = WithTools(Chat("x"), {.choice = ToolChoice::kRequired});
  both.options.grammar = Grammar{Grammar::Kind::kJsonObject, "", {}};
  EXPECT_THAT(refusal(both), HasSubstr("does not go with a tool_choice"));
  EXPECT_THAT(refusal(WithTools(Chat("x"), {.choice = ToolChoice::kNamed, .name = "other"})),
              HasSubstr("not among the tools"));
  Request broken = Chat("x");
  broken.options.grammar = Grammar{Grammar::Kind::kRegex, "(a", {}};
  EXPECT_THAT(refusal(broken), HasSubstr("structured_outputs cannot be followed"));
  broken.options.grammar = Grammar{Grammar::Kind::kJsonObject, "", {}};
  broken.options.min_tokens = 3;
  EXPECT_THAT(refusal(broken), HasSubstr("min_tokens does not go with response_format"));
  Request effort = Chat("x");
  std::get<ChatPrompt>(effort.prompt).reasoning_effort = "enormous";
  EXPECT_THAT(refusal(effort), HasSubstr("reasoning_effort must be one of none, minimal"));
}

TEST_F(ToolTest, NoReasoningEffortClosesWhatTheTemplateOpens) {
  Request request = Chat("x");
  std::get<ChatPrompt>(request.prompt).reasoning_effort = "none";
  request.options.grammar = Grammar{Grammar::Kind::kJsonObject, "", {}};
  StartedRequest started = MustStart(std::move(request));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_TRUE(PromptOf(submit).ends_with("<think>\n\n</think>\n\n"));
  EXPECT_FALSE(submit.sampling().grammar().has_after_token());
  scheduler_->SendTokens(submit.handle(), 0, Ids("{}"));
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP, 0);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.content[0], "{}");
  EXPECT_EQ(answer.reasoning[0], "");
}

TEST_F(ToolTest, ThinkingCanBeForced) {
  model_dir_.Write("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
  model_ = *LoadModel(model_dir_.dir(), {.names = {"tiny"}, .force_thinking = true});
  MakeService();
  StartedRequest started = MustStart(Chat("x"));
  const v1::Submit submit = scheduler_->Next().submit();
  EXPECT_EQ(PromptOf(submit), "x<think>\n");
  scheduler_->SendTokens(submit.handle(), 0, {'h', 'm', kEndThink, 'y'});
  scheduler_->Finish(submit.handle(), v1::FINISH_REASON_STOP, 0);
  const Answer answer = ReadAll(started);
  EXPECT_EQ(answer.reasoning[0], "hm");
  EXPECT_EQ(answer.content[0], "y");
}

}  // namespace
}  // namespace weft::gateway
