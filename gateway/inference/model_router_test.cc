#include "gateway/inference/model_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/inference/gateway_metrics.h"
#include "gateway/inference/scripted_scheduler.h"
#include "text/test_models.h"

namespace weft::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Payload(const absl::Status& status, const char* key) {
  const auto payload = status.GetPayload(key);
  return payload ? std::string(*payload) : std::string();
}

class ModelRouterTest : public ::testing::Test {
 protected:
  ModelRouterTest() { model_dir_.Write("generation_config.json", R"({"eos_token_id": [264]})"); }

  // One for each list of names, each behind a scheduler of its own.
  void Serve(const std::vector<std::vector<std::string>>& groups) {
    std::vector<std::unique_ptr<ModelService>> services;
    for (const auto& names : groups) {
      const auto model = LoadModel(model_dir_.dir(), {.names = names});
      ASSERT_TRUE(model.ok()) << model.status();
      schedulers_.push_back(std::make_unique<ScriptedScheduler>());
      upstreams_.push_back(
          std::make_unique<Upstream>(UpstreamOptions{.address = schedulers_.back()->address(),
                                                     .session = {.gateway_id = "test"}},
                                     metrics_));
      counts_.push_back(std::make_unique<GatewayMetrics>(metrics_, names.front()));
      services.push_back(std::make_unique<ModelService>(*model,
                                                        ModelServiceOptions{.change_of_leader = {}},
                                                        *upstreams_.back(), *counts_.back()));
    }
    services_.clear();
    for (const auto& service : services) services_.push_back(service.get());
    router_ = std::make_unique<ModelRouter>(std::move(services), metrics_);
    for (const ModelService* service : services_) {
      ASSERT_TRUE(Await([&] { return service->Ready().ok(); }));
    }
  }

  template <typename Condition>
  static bool Await(Condition condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return condition();
  }

  static Request Completion(std::string model, std::string text = "x") {
    Request request;
    request.model = std::move(model);
    request.prompt = TextPrompt{std::move(text)};
    return request;
  }

  absl::StatusOr<StartedRequest> Start(Request request) {
    std::promise<absl::StatusOr<StartedRequest>> promise;
    router_->Start(std::move(request),
                   [&promise](auto started) { promise.set_value(std::move(started)); });
    return promise.get_future().get();
  }

  double Accepted(size_t group) { return counts_[group]->accepted.Value(); }

  text::TinyModel model_dir_;
  Metrics metrics_{"gateway"};
  std::vector<std::unique_ptr<ScriptedScheduler>> schedulers_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  std::vector<std::unique_ptr<GatewayMetrics>> counts_;
  std::vector<ModelService*> services_;
  std::unique_ptr<ModelRouter> router_;
};

TEST_F(ModelRouterTest, GoesByModel) {
  Serve({{"a", "first"}, {"b"}});
  std::vector<std::string> ids;
  for (const ModelInfo& model : router_->Models()) ids.push_back(model.id);
  EXPECT_THAT(ids, ElementsAre("a", "first", "b"));

  auto first = Start(Completion("first"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->model, "first");
  EXPECT_EQ(schedulers_[0]->Next().submit().prompt_tokens_size(), 2);  // bos, x
  auto second = Start(Completion("b", "xy"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(schedulers_[1]->Next().submit().prompt_tokens_size(), 3);
  EXPECT_EQ(Accepted(0), 1);
  EXPECT_EQ(Accepted(1), 1);
  EXPECT_THAT(metrics_.Text(), HasSubstr("requests_accepted_total{model=\"b\"} 1"));
}

TEST_F(ModelRouterTest, WhatNobodyServesIsNotFound) {
  Serve({{"a"}, {"b"}});
  const absl::Status unknown = Start(Completion("../../etc/passwd")).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Payload(unknown, kParamPayload), "model");
  EXPECT_EQ(Payload(unknown, kCodePayload), "model_not_found");
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("this server has `a`, `b`."));
  EXPECT_EQ(router_->Tokenize(Completion("c")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(router_->Detokenize("c", {1}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(metrics_.Text(), HasSubstr("rejected_total{model=\"\",reason=\"unknown_model\"} 1"));

  const absl::Status unnamed = Start(Completion("")).status();
  EXPECT_EQ(unnamed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Payload(unnamed, kParamPayload), "model");
  EXPECT_THAT(std::string(unnamed.message()), HasSubstr("model is required"));
}

TEST_F(ModelRouterTest, WithOneModelItNeedNotBeNamed) {
  Serve({{"a"}});
  auto started = Start(Completion(""));
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(started->model, "a");
}

TEST_F(ModelRouterTest, AGroupThatIsDownFailsItsOwnModelOnly) {
  Serve({{"a"}, {"b"}});
  schedulers_[0]->Stop();
  ASSERT_TRUE(Await([&] { return !services_[0]->Ready().ok(); }));
  EXPECT_TRUE(router_->Ready().ok());
  EXPECT_EQ(Start(Completion("a")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Start(Completion("b")).ok());
  schedulers_[1]->Stop();
  EXPECT_TRUE(Await([&] { return !router_->Ready().ok(); }));
}

TEST_F(ModelRouterTest, GroupsOfOneModelShareItByPrefixAndStandInForEachOther) {
  Serve({{"a"}, {"a"}});
  EXPECT_EQ(router_->Models().size(), 1u);
  std::vector<StartedRequest> open;
  const auto start = [&](const std::string& text) {
    auto started = Start(Completion("a", text));
    ASSERT_TRUE(started.ok()) << started.status();
    open.push_back(*std::move(started));
  };
  for (int i = 0; i < 16; ++i) start(std::string(1, static_cast<char>('a' + i)));
  // Both have the label of their name, and so one count.
  EXPECT_EQ(Accepted(0), 16);
  const auto num_submitted = [&](size_t group) {
    return static_cast<int>(schedulers_[group]->num_frames());
  };
  ASSERT_TRUE(Await([&] { return num_submitted(0) + num_submitted(1) == 16; }));
  EXPECT_GT(num_submitted(0), 2);
  EXPECT_GT(num_submitted(1), 2);

  // The same beginning, the same group.
  const int before = num_submitted(0);
  for (int i = 0; i < 4; ++i) start("the same");
  ASSERT_TRUE(Await([&] { return num_submitted(0) + num_submitted(1) == 20; }));
  EXPECT_TRUE(num_submitted(0) == before || num_submitted(0) == before + 4);

  const int left = num_submitted(1);
  schedulers_[0]->Stop();
  ASSERT_TRUE(Await([&] { return !services_[0]->Ready().ok(); }));
  for (int i = 0; i < 4; ++i) start(std::string(1, static_cast<char>('a' + i)));
  EXPECT_TRUE(Await([&] { return num_submitted(1) == left + 4; }));
  EXPECT_THAT(metrics_.Text(), HasSubstr("route_decisions_total{model=\"a\",reason=\"load\"} 4"));
}

TEST_F(ModelRouterTest, DrainingRefusesWhateverTheModel) {
  Serve({{"a"}, {"b"}});
  router_->Drain();
  EXPECT_EQ(Start(Completion("a")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Start(Completion("b")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(router_->Ready().ok());
  EXPECT_THAT(metrics_.Text(), HasSubstr("weft_gateway_draining 1"));
}

}  // namespace
}  // namespace weft::gateway
