#include "gateway/auth/guarded_service.h"

#include <optional>

#include "gateway/auth/caller.h"
#include "gateway/openai/scripted_service.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::auth {
namespace {

using gateway::StartedRequest;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two models, one of which goes by two names.
class TwoModels final : public openai::ScriptedService {
 public:
  std::vector<gateway::ModelInfo> Models() const override {
    return {
        {.id = "r1", .root = "a"}, {.id = "r1-alias", .root = "a"}, {.id = "math", .root = "b"}};
  }
};

struct GuardedServiceTest : ::testing::Test {
  std::shared_ptr<Permit> Enter(std::vector<std::string> scope, KeyLimits limits = {}) {
    caller = std::make_shared<const Caller>(
        KeyEntry{.name = "alice", .tenant = "t", .models = std::move(scope), .limits = limits},
        meter, [this] { return now; }, [](const Caller&, Limit) {});
    return caller->Enter().value_or(nullptr);
  }
  absl::StatusOr<StartedRequest> Start(std::shared_ptr<Permit> permit,
                                       const std::string& model = "") {
    gateway::Request request;
    request.model = model;
    request.prompt = gateway::TextPrompt{.text = "hi"};
    request.permit = std::move(permit);
    std::optional<absl::StatusOr<StartedRequest>> result;
    guard.Start(std::move(request), [&](auto started) { result = std::move(started); });
    return *std::move(result);
  }
  int64_t TokensLeft() { return meter->Tokens(caller->entry().limits, now).remaining; }

  Time now{seconds(1'000'000)};
  TwoModels service;
  GuardedService guard{service, /*requires_permit=*/true};
  std::shared_ptr<Meter> meter = std::make_shared<Meter>();
  std::shared_ptr<const Caller> caller;
};

TEST_F(GuardedServiceTest, ARequestWithoutAPermitGoesNowhere) {
  EXPECT_EQ(Start(nullptr).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(service.num_started(), 0);
  EXPECT_FALSE(guard.Tokenize({}).ok());
  GuardedService open(service, /*requires_permit=*/false);
  gateway::Request request;
  bool is_started = false;
  open.Start(request, [&](auto started) { is_started = started.ok(); });
  EXPECT_TRUE(is_started);
}

TEST_F(GuardedServiceTest, ModelsOutOfScopeAreForbidden) {
  for (const char* model : {"math", "nobody", "r1-alias"}) {
    const auto started = Start(Enter({"r1"}), model);
    EXPECT_EQ(started.status().code(), absl::StatusCode::kPermissionDenied) << model;
    EXPECT_EQ(started.status().GetPayload(gateway::kCodePayload), absl::Cord("model_not_found"));
    EXPECT_EQ(std::string(started.status().message()),
              absl::StrCat("This API key has no access to the model `", model, "`: it has `r1`."));
  }
  EXPECT_EQ(service.num_started(), 0);
  EXPECT_TRUE(Start(Enter({"r1"}), "r1").ok());
  EXPECT_TRUE(Start(Enter({}), "math").ok());
}

TEST_F(GuardedServiceTest, ARequestThatNamesNoModelIsForTheOneInScope) {
  EXPECT_TRUE(Start(Enter({"math"})).ok());
  EXPECT_EQ(service.request(0).model, "math");
  EXPECT_TRUE(Start(Enter({"r1-alias", "r1"})).ok());
  EXPECT_EQ(service.request(1).model, "r1");  // two names, one model
  const auto two = Start(Enter({"r1", "math"}));
  EXPECT_EQ(two.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(two.status().message()), HasSubstr("`r1`, `math`"));
  EXPECT_EQ(Start(Enter({"gone"})).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(Start(Enter({})).ok());
  EXPECT_EQ(service.request(2).model, "");  // the service's to say
}

TEST_F(GuardedServiceTest, AKeySeesTheModelsOfItsScope) {
  Enter({"math", "gone"});
  std::vector<std::string> names;
  for (const auto& model : caller->Visible(service.Models())) names.push_back(model.id);
  EXPECT_THAT(names, ElementsAre("math"));
}

TEST_F(GuardedServiceTest, WhatAnAnswerUsesIsChargedAsItIsTaken) {
  auto started = Start(Enter({}, {.tokens_per_minute = 1000}));
  ASSERT_TRUE(started.ok());
  EXPECT_EQ(TokensLeft(), 1000 - 3);  // the prompt
  const auto script = service.script();
  script->Text("a");
  script->Text("b");
  EXPECT_EQ(started->events->Take().size(), 2u);
  EXPECT_EQ(TokensLeft(), 1000 - 5);
  script->Text("c");
  script->Finish();
  script->Complete(/*prompt_tokens=*/3, /*completion_tokens=*/4);  // one never became text
  started->events->Take();
  EXPECT_EQ(TokensLeft(), 1000 - 7);
}

TEST_F(GuardedServiceTest, ACancelledAnswerIsChargedAsFarAsItCame) {
  auto started = Start(Enter({}, {.tokens_per_minute = 1000}));
  service.script()->Text("a");
  started->events->Take();
  started->events.reset();
  EXPECT_EQ(TokensLeft(), 1000 - 4);
}

TEST_F(GuardedServiceTest, ARequestRunsUntilItsStreamIsGone) {
  const KeyLimits limits{.concurrent_requests = 1};
  auto started = Start(Enter({}, limits));
  ASSERT_TRUE(started.ok());
  EXPECT_EQ(Enter({}, limits), nullptr);
  started->events.reset();
  service.refusal = absl::UnavailableError("full");
  EXPECT_FALSE(Start(Enter({}, limits)).ok());
  EXPECT_NE(Enter({}, limits), nullptr) << "one that was refused does not run";
}

}  // namespace
}  // namespace weft::auth
