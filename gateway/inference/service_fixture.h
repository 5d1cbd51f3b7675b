// A ModelService with a tiny model, in front of a scripted scheduler.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/inference/model_router.h"
#include "gateway/inference/model_service.h"
#include "gateway/inference/scripted_scheduler.h"
#include "text/test_models.h"

namespace weft::gateway {

class ServiceFixture : public ::testing::Test {
 protected:
  // Bytes are their own ids; the added tokens of TinyModel follow.
  static constexpr int32_t kEos = 264;
  static constexpr int32_t kThink = 267;
  static constexpr int32_t kEndThink = 268;

  ServiceFixture() {
    model_dir_.Write("generation_config.json",
                     R"({"eos_token_id": [264], "do_sample": true, "temperature": 0.6,
                         "top_p": 0.95})");
    model_dir_.Write("chat_template.jinja",
                     "{{ bos_token }}{% for m in messages %}<|user|>{{ m.content }}{% endfor %}"
                     "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}");
    auto model = LoadModel(model_dir_.dir(), {.names = {"tiny", "alias"}});
    if (!model.ok()) ADD_FAILURE() << model.status();
    model_ = *model;
    MakeService();
  }

  void MakeService(SessionOptions session = {.gateway_id = "test"}) {
    router_.reset();
    upstream_ = std::make_unique<Upstream>(
        UpstreamOptions{.address = scheduler_->address(), .session = std::move(session)}, metrics_);
    std::vector<std::unique_ptr<ModelService>> groups;
    groups.push_back(std::make_unique<ModelService>(model_, options_, *upstream_, counts_));
    service_ = groups[0].get();
    router_ = std::make_unique<ModelRouter>(std::move(groups), metrics_);
    AwaitReady();
  }

  void AwaitReady() {
    Await([this] { return service_->Ready().ok(); });
  }

  // At most 10 seconds.
  template <typename Condition>
  static bool Await(Condition condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "waited in vain";
    return false;
  }

  static std::vector<int32_t> Ids(std::string_view text) {
    std::vector<int32_t> ids;
    for (char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }

  static Request Completion(std::string text) {
    Request request;
    request.prompt = TextPrompt{std::move(text)};
    return request;
  }

  static Request Chat(std::string text) {
    Request request;
    request.prompt = ChatPrompt{.messages = {{.role = "user", .content = std::move(text)}}};
    request.split_reasoning = true;
    return request;
  }

  absl::StatusOr<StartedRequest> Start(Request request) {
    std::promise<absl::StatusOr<StartedRequest>> promise;
    service_->Start(std::move(request),
                    [&promise](auto started) { promise.set_value(std::move(started)); });
    return promise.get_future().get();
  }

  // Starts and takes what the scheduler is told.
  StartedRequest MustStart(Request request) {
    auto started = Start(std::move(request));
    EXPECT_TRUE(started.ok()) << started.status();
    if (!started.ok()) return {};
    return *std::move(started);
  }

  // What a whole stream amounts to.
  struct Answer {
    std::vector<std::string> content, reasoning;
    std::vector<ToolCallDelta> tool_calls;  // of all choices, put together
    std::vector<ChoiceFinished> finished;
    std::vector<TokenLogprob> logprobs;
    std::vector<PromptLogprob> prompt_logprobs;
    std::optional<Usage> usage;
    std::optional<Failed> failed;
    int num_tokens = 0;
  };

  // Reads up to the stream's last event, as a codec does.
  static Answer ReadAll(StartedRequest& started) {
    Answer answer;
    answer.content.resize(static_cast<size_t>(started.num_choices));
    answer.reasoning = answer.content;
    while (!answer.usage && !answer.failed) {
      auto readable = std::make_shared<std::promise<void>>();
      auto future = readable->get_future();
      started.events->OnReadable([readable] { readable->set_value(); });
      if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
        ADD_FAILURE() << "nothing to read";
        return answer;
      }
      for (Event& event : started.events->Take()) Add(answer, event);
    }
    return answer;
  }

  static void Add(Answer& answer, Event& event) {
    EXPECT_FALSE(answer.usage || answer.failed) << "an event behind the last";
    if (auto* delta = std::get_if<Delta>(&event)) {
      answer.content[static_cast<size_t>(delta->index)] += delta->content;
      answer.reasoning[static_cast<size_t>(delta->index)] += delta->reasoning;
      answer.num_tokens += delta->num_tokens;
      for (ToolCallDelta& call : delta->tool_calls) {
        if (call.id.empty()) {
          answer.tool_calls.back().arguments += call.arguments;
        } else {
          answer.tool_calls.push_back(std::move(call));
        }
      }
      for (auto& logprob : delta->logprobs) answer.logprobs.push_back(std::move(logprob));
    } else if (auto* finished = std::get_if<ChoiceFinished>(&event)) {
      answer.finished.push_back(*finished);
    } else if (auto* completed = std::get_if<Completed>(&event)) {
      answer.usage = completed->usage;
      answer.prompt_logprobs = std::move(completed->prompt_logprobs);
    } else {
      answer.failed = std::get<Failed>(event);
    }
  }

  ModelServiceOptions options_;  // of the next MakeService
  text::TinyModel model_dir_;
  std::shared_ptr<const Model> model_;
  Metrics metrics_{"gateway"};
  GatewayMetrics counts_{metrics_, "tiny"};
  std::unique_ptr<ScriptedScheduler> scheduler_ = std::make_unique<ScriptedScheduler>();
  std::unique_ptr<Upstream> upstream_;
  ModelService* service_ = nullptr;
  std::unique_ptr<ModelRouter> router_;
};

}  // namespace weft::gateway
