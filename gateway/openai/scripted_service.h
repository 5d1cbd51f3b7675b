// For tests: a Service whose events a test writes itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"

namespace weft::openai {

// One request's events, as a test pushes them. Any thread.
class Script {
 public:
  void Push(gateway::Event event) {
    std::function<void()> readable;
    {
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
      readable = std::exchange(readable_, nullptr);
    }
    if (readable) readable();
  }
  void Text(std::string text, int index = 0) {
    Push(gateway::Delta{.index = index, .content = std::move(text), .num_tokens = 1});
  }
  void Finish(int index = 0) { Push(gateway::ChoiceFinished{.index = index}); }
  void Complete(int prompt_tokens = 3, int completion_tokens = 2) {
    Push(gateway::Completed{
        {.prompt_tokens = prompt_tokens, .completion_tokens = completion_tokens}});
  }

  bool cancelled() const {
    std::lock_guard lock(mutex_);
    return destroyed_;
  }
  // Until the codec has let go of the stream.
  bool WaitCancelled(int timeout_ms = 5000) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                             [this] { return destroyed_; });
  }
  size_t num_waiting() const {
    std::lock_guard lock(mutex_);
    return events_.size();
  }

 private:
  friend class ScriptedService;
  class Stream : public gateway::EventStream {
   public:
    explicit Stream(std::shared_ptr<Script> script) : script_(std::move(script)) {}
    ~Stream() override {
      std::function<void()> readable;
      std::lock_guard lock(script_->mutex_);
      readable = std::exchange(script_->readable_, nullptr);
      script_->destroyed_ = true;
      script_->changed_.notify_all();
    }
    void OnReadable(std::function<void()> readable) override {
      std::lock_guard lock(script_->mutex_);
      script_->readable_ = std::move(readable);
    }
    std::vector<gateway::Event> Take() override {
      std::lock_guard lock(script_->mutex_);
      return std::exchange(script_->events_, {});
    }

   private:
    const std::shared_ptr<Script> script_;
  };

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<gateway::Event> events_;
  std::function<void()> readable_;
  bool destroyed_ = false;
};

class ScriptedService : public gateway::Service {
 public:
  void Start(gateway::Request request,
             std::function<void(absl::StatusOr<gateway::StartedRequest>)> done) override {
    std::unique_lock lock(mutex_);
    ++num_started_;
    requests_.push_back(request);
    changed_.notify_all();
    if (!refusal.ok() && num_started_ > num_accepted) {
      lock.unlock();
      return done(refusal);
    }
    if (hold_starts) {
      held_.push_back(std::move(done));
      return;
    }
    gateway::StartedRequest started = Next(request);
    lock.unlock();
    done(std::move(started));
  }

  std::vector<gateway::ModelInfo> Models() const override {
    return {{.id = "demo", .root = "models/demo", .created = 1'700'000'000, .max_model_len = 2048}};
  }
  // One token per byte.
  absl::StatusOr<std::vector<text::TokenId>> Tokenize(
      const gateway::Request& request) const override {
    if (!request.model.empty() && request.model != "demo") {
      return absl::NotFoundError("no such model");
    }
    std::vector<text::TokenId> ids;
    if (const auto* prompt = std::get_if<gateway::TextPrompt>(&request.prompt)) {
      if (prompt->add_special) ids.push_back(1000);
      for (const char c : prompt->text) ids.push_back(static_cast<unsigned char>(c));
    } else {
      ids.assign(std::get<gateway::ChatPrompt>(request.prompt).messages.size(), 7);
    }
    return ids;
  }
  absl::StatusOr<std::string> Detokenize(const std::string&,
                                         const std::vector<int64_t>& tokens) const override {
    std::string text;
    for (const int64_t id : tokens) {
      if (id < 0 || id > 127) return absl::InvalidArgumentError("'tokens': id out of range");
      text += static_cast<char>(id);
    }
    return text;
  }
  std::string TokenText(const std::string&, text::TokenId id) const override {
    return id == 1000 ? "<bos>" : std::string(1, static_cast<char>(id));
  }
  absl::StatusOr<std::string> TokenizerInfo(const std::string& model) const override {
    if (!model.empty() && model != "demo 1") return absl::NotFoundError("no such model");
    return "{\"eos_token\":\"<eos>\"}";
  }
  absl::Status Ready() const override { return ready; }

  // The script of the request started i-th; waits until it has been.
  std::shared_ptr<Script> script(size_t i = 0) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [&] { return scripts_.size() > i; });
    return scripts_.at(i);
  }
  gateway::Request request(size_t i = 0) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [&] { return requests_.size() > i; });
    return requests_.at(i);
  }
  int num_started() {
    std::lock_guard lock(mutex_);
    return num_started_;
  }
  // Answers the oldest start that hold_starts keeps.
  void Release() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [&] { return !held_.empty(); });
    auto done = std::move(held_.front());
    held_.pop_front();
    gateway::StartedRequest started = Next(requests_.at(scripts_.size()));
    lock.unlock();
    done(std::move(started));
  }

  // Set before requests come.
  absl::Status refusal;  // of every start behind the first num_accepted
  int num_accepted = 0;
  absl::Status ready;
  bool hold_starts = false;
  // Called with each new script, on the starting thread.
  std::function<void(Script&)> play;

 private:
  gateway::StartedRequest Next(const gateway::Request& request) {
    auto script = std::make_shared<Script>();
    scripts_.push_back(script);
    changed_.notify_all();
    if (play) play(*script);
    return {.events = std::make_unique<Script::Stream>(script),
            .num_choices = static_cast<int>(request.options.n.value_or(1)),
            .prompt_tokens = 3,
            .model = "demo"};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<gateway::Request> requests_;
  std::vector<std::shared_ptr<Script>> scripts_;
  std::deque<std::function<void(absl::StatusOr<gateway::StartedRequest>)>> held_;
  int num_started_ = 0;
};

}  // namespace weft::openai
