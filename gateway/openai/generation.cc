#include "gateway/openai/generation.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/auth/caller.h"
#include "gateway/openai/error.h"
#include "gateway/openai/format.h"

namespace weft::openai {
namespace {

using gateway::ChoiceFinished;
using gateway::Completed;
using gateway::Delta;
using gateway::Event;
using gateway::Failed;
using gateway::StartedRequest;

// A smaller body is parsed on the network thread, in a fraction of a millisecond.
constexpr size_t kParseInPool = 16 << 10;

// What other threads hand in. Outlives the exchange if they are late; what they
// have started is then destroyed at once, and so cancelled.
struct Arrivals {
  std::mutex mutex;
  bool abandoned = false;
  std::optional<absl::StatusOr<GenerationCall>> call;
  std::vector<std::optional<StartedRequest>> started;
  size_t num_started = 0;
  absl::Status error;  // the first of Start's
};

const char* IdPrefix(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kChat:
      return "chatcmpl-";
    case Endpoint::kCompletion:
      return "cmpl-";
    case Endpoint::kResponse:
      return "resp_";
  }
  return "";
}

class Generation : public http::Exchange {
 public:
  Generation(Endpoint endpoint, gateway::Service& service, gateway::WorkPool& pool,
             http::HttpRequest request, Sender sender, http::Waker waker)
      : endpoint_(endpoint),
        service_(service),
        sender_(std::move(sender)),
        trace_(request.trace),
        waker_(std::move(waker)) {
    head_.id = absl::StrCat(IdPrefix(endpoint), request.id);
    head_.created = std::time(nullptr);
    if (request.body.size() < kParseInPool) {
      arrivals_->call = Parse(endpoint, request.body);
      return;
    }
    const bool accepted =
        pool.Run(gateway::WorkPool::Weight::kHeavy,
                 [arrivals = arrivals_, endpoint, waker = waker_, body = std::move(request.body)] {
                   absl::StatusOr<GenerationCall> call = Parse(endpoint, body);
                   {
                     std::lock_guard lock(arrivals->mutex);
                     arrivals->call = std::move(call);
                   }
                   waker();
                 });
    if (!accepted) arrivals_->call = absl::UnavailableError("The server is overloaded.");
  }

  ~Generation() override {
    std::vector<std::optional<StartedRequest>> started;
    std::lock_guard lock(arrivals_->mutex);
    arrivals_->abandoned = true;
    started.swap(arrivals_->started);
  }

  void Advance(http::ResponseWriter& writer) override {
    if (phase_ == Phase::kParsing) StartAll(writer);
    if (phase_ == Phase::kStarting) TakeStarted(writer);
    if (phase_ == Phase::kRunning) Pump(writer);
  }

 private:
  enum class Phase { kParsing, kStarting, kRunning, kDone };

  struct Source {
    std::unique_ptr<gateway::EventStream> events;  // null once it has completed
    int first_choice = 0;
    int num_choices = 0;
  };

  static absl::StatusOr<GenerationCall> Parse(Endpoint endpoint, const std::string& body) {
    try {
      switch (endpoint) {
        case Endpoint::kChat:
          return ParseChat(body);
        case Endpoint::kCompletion:
          return ParseCompletion(body);
        case Endpoint::kResponse:
          return ParseResponse(body);
      }
      return absl::InternalError("internal error");
    } catch (const std::exception& error) {
      spdlog::error("{}", error.what());
      return absl::InternalError("internal error");
    }
  }

  void ReplyError(http::ResponseWriter& writer, const absl::Status& status,
                  absl::Duration retry_after = absl::ZeroDuration()) {
    phase_ = Phase::kDone;
    writer.Reply(ErrorResponse(status, retry_after));
  }

  void StartAll(http::ResponseWriter& writer) {
    {
      std::lock_guard lock(arrivals_->mutex);
      if (!arrivals_->call) return;
      if (!arrivals_->call->ok()) return ReplyError(writer, arrivals_->call->status());
      call_ = *std::move(*arrivals_->call);
      arrivals_->started.resize(call_.requests.size());
    }
    with_logprobs_ = call_.requests.front().options.logprobs.has_value();
    if (call_.echo) {
      for (gateway::Request& request : call_.requests) {
        // The prompt's text comes from the model: it must be one that the key may see.
        if (sender_.permit != nullptr) {
          const auth::Caller& caller = sender_.permit->caller();
          if (auto s = caller.ResolveModel(service_, request.model); !s.ok()) {
            return ReplyError(writer, s);
          }
        }
        absl::StatusOr<std::string> text = PromptText(request);
        if (!text.ok()) return ReplyError(writer, text.status());
        prompt_texts_.push_back(*std::move(text));
      }
    }
    phase_ = Phase::kStarting;
    for (size_t i = 0; i < call_.requests.size(); ++i) {
      call_.requests[i].tenant = sender_.tenant;
      call_.requests[i].trace = trace_;
      call_.requests[i].permit = sender_.permit;
      service_.Start(std::move(call_.requests[i]), [arrivals = arrivals_, waker = waker_,
                                                    i](absl::StatusOr<StartedRequest> result) {
        bool complete = false;
        {
          std::lock_guard lock(arrivals->mutex);
          if (arrivals->abandoned) return;
          if (result.ok()) {
            arrivals->started[i] = *std::move(result);
            complete = ++arrivals->num_started == arrivals->started.size();
          } else {
            arrivals->error.Update(result.status());
            complete = true;
          }
        }
        if (complete) waker();
      });
    }
  }

  absl::StatusOr<std::string> PromptText(const gateway::Request& request) const {
    if (const auto* text = std::get_if<gateway::TextPrompt>(&request.prompt)) return text->text;
    const auto& tokens = std::get<gateway::TokenPrompt>(request.prompt).tokens;
    return service_.Detokenize(request.model, {tokens.begin(), tokens.end()});
  }

  void TakeStarted(http::ResponseWriter& writer) {
    std::vector<std::optional<StartedRequest>> started;
    {
      std::lock_guard lock(arrivals_->mutex);
      if (!arrivals_->error.ok()) return ReplyError(writer, arrivals_->error);
      if (arrivals_->num_started < arrivals_->started.size()) return;
      started = std::move(arrivals_->started);
    }
    AnswerShape shape = {.num_choices = 0, .with_logprobs = with_logprobs_};
    for (size_t i = 0; i < started.size(); ++i) {
      StartedRequest& one = *started[i];
      sources_.push_back({std::move(one.events), shape.num_choices, one.num_choices});
      shape.num_choices += one.num_choices;
      shape.prompt_tokens += one.prompt_tokens;
      if (call_.echo) {
        shape.echo.insert(shape.echo.end(), static_cast<size_t>(one.num_choices), prompt_texts_[i]);
      }
    }
    num_open_ = sources_.size();
    head_.model = started.front()->model;
    answer_ = MakeAnswerWriter(call_, head_, std::move(shape));
    phase_ = Phase::kRunning;
  }

  void Pump(http::ResponseWriter& writer) {
    for (Source& source : sources_) {
      // Until nothing is left: whatever is taken may end in no write, behind which
      // Advance would come again, and only an empty-handed Take is followed by a wake.
      while (source.events) {
        std::vector<Event> events = source.events->Take();
        if (events.empty()) {
          // Asked again, since something may have come between the two calls.
          source.events->OnReadable(waker_);
          events = source.events->Take();
          if (events.empty()) break;
        }
        Handle(writer, source, std::move(events));
        if (phase_ == Phase::kDone) return;
      }
    }
  }

  void Handle(http::ResponseWriter& writer, Source& source, std::vector<Event> events) {
    if (!writer.started()) {
      for (const Event& event : events) {
        if (const auto* failed = std::get_if<Failed>(&event)) {
          return ReplyError(writer, failed->status, failed->retry_after);
        }
      }
      if (call_.stream) writer.BeginStream(200, "text/event-stream; charset=utf-8");
    }
    std::string& out = call_.stream ? writer.body() : whole_;
    for (Event& event : events) {
      if (auto* delta = std::get_if<Delta>(&event)) {
        delta->index += source.first_choice;
        answer_->Delta(out, *delta);
      } else if (auto* finished = std::get_if<ChoiceFinished>(&event)) {
        finished->index += source.first_choice;
        answer_->Finished(out, *finished);
      } else if (auto* completed = std::get_if<Completed>(&event)) {
        source.events.reset();
        if (!completed->prompt_logprobs.empty()) {
          answer_->PromptLogprobs(source.first_choice, source.num_choices,
                                  std::make_shared<const std::vector<gateway::PromptLogprob>>(
                                      std::move(completed->prompt_logprobs)));
        }
        return OnCompleted(writer, out, completed->usage);
      } else if (const auto* failed = std::get_if<Failed>(&event)) {
        answer_->Failed(out, failed->status);
        return End(writer);
      }
    }
  }

  void OnCompleted(http::ResponseWriter& writer, std::string& out, const gateway::Usage& usage) {
    usage_.prompt_tokens += usage.prompt_tokens;
    usage_.completion_tokens += usage.completion_tokens;
    usage_.cached_tokens += usage.cached_tokens;
    usage_.reasoning_tokens += usage.reasoning_tokens;
    if (--num_open_ > 0) return;
    answer_->Completed(out, usage_);
    End(writer);
  }

  void End(http::ResponseWriter& writer) {
    phase_ = Phase::kDone;
    if (call_.stream) return writer.End();
    writer.Reply({.body = std::move(whole_)});
  }

  const Endpoint endpoint_;
  gateway::Service& service_;
  const Sender sender_;
  const SpanContext trace_;
  const http::Waker waker_;
  const std::shared_ptr<Arrivals> arrivals_ = std::make_shared<Arrivals>();
  Phase phase_ = Phase::kParsing;
  GenerationCall call_;  // its requests are moved from once started
  AnswerHead head_;
  bool with_logprobs_ = false;
  std::vector<std::string> prompt_texts_;  // by prompt, for echo
  std::vector<Source> sources_;
  size_t num_open_ = 0;
  gateway::Usage usage_;
  std::unique_ptr<AnswerWriter> answer_;
  std::string whole_;  // not streaming: the answer
};

}  // namespace

std::unique_ptr<http::Exchange> MakeGeneration(Endpoint endpoint, gateway::Service& service,
                                               gateway::WorkPool& pool, http::HttpRequest request,
                                               Sender sender, http::Waker waker) {
  return std::make_unique<Generation>(endpoint, service, pool, std::move(request),
                                      std::move(sender), std::move(waker));
}

}  // namespace weft::openai
