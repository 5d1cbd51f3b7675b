#include "gateway/inference/active_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::gateway {

using std::chrono::steady_clock;

// One choice as its sequence sees it.
class ActiveRequest::ChoiceSink final : public SequenceSink {
 public:
  ChoiceSink(ActiveRequest& owner, ChoicePlan given,
             std::shared_ptr<const text::Tokenizer> tokenizer)
      : request(owner),
        index(given.options.index),
        choice(std::move(given.options), std::move(tokenizer)),
        submission(std::move(given.submission)) {}

  std::optional<int> OnTokens(std::span<const TokenId> tokens,
                              std::span<const v1::TokenLogprobs* const> logprobs) override {
    return request.OnTokens(*this, tokens, logprobs);
  }
  void OnPromptLogprobs(const v1::PromptLogprobs& logprobs, int first_entry) override {
    request.OnPromptLogprobs(logprobs, first_entry);
  }
  void OnEnd(const SequenceEnd& end) override { request.OnEnd(*this, end); }

  ActiveRequest& request;
  const int index;
  Choice choice;          // the session's thread
  Submission submission;  // until it is submitted
  SequenceId sequence = 0;
  MonotonicTime last_token_at;
  bool finished = false;  // its ChoiceFinished has been put
};

class ActiveRequest::Stream final : public EventStream {
 public:
  explicit Stream(std::shared_ptr<ActiveRequest> request) : request_(std::move(request)) {}
  ~Stream() override { request_->Abandon(); }
  void OnReadable(std::function<void()> readable) override {
    request_->OnReadable(std::move(readable));
  }
  std::vector<Event> Take() override { return request_->Take(); }

 private:
  const std::shared_ptr<ActiveRequest> request_;
};

ActiveRequest::ActiveRequest(Options options, std::vector<ChoicePlan> choices,
                             std::shared_ptr<const text::Tokenizer> tokenizer, Upstream& upstream,
                             GatewayMetrics& metrics)
    : options_(std::move(options)),
      tokenizer_(std::move(tokenizer)),
      upstream_(upstream),
      metrics_(metrics),
      open_delta_(choices.size(), -1),
      num_unfinished_(static_cast<int>(choices.size())),
      usage_{.prompt_tokens = static_cast<int>(options_.prompt->size()),
             .cached_tokens = static_cast<int>(options_.prompt->size())} {
  if (choices.front().submission.sampling.num_prompt_logprobs) {
    prompt_logprobs_.push_back({.token = MakeLogprob(options_.prompt->front(), 0)});
  }
  for (ChoicePlan& plan : choices) {
    choices_.push_back(std::make_unique<ChoiceSink>(*this, std::move(plan), tokenizer_));
  }
}

ActiveRequest::~ActiveRequest() = default;

std::unique_ptr<EventStream> ActiveRequest::Start() {
  metrics_.accepted.Increment();
  metrics_.in_flight.Increment();
  auto self = shared_from_this();
  {
    // The first choice may fail while the last is being submitted: what cancels
    // them all waits until it knows them all.
    std::lock_guard lock(mutex_);
    for (auto& sink : choices_) {
      sink->sequence = upstream_.Open(std::move(sink->submission),
                                      std::shared_ptr<SequenceSink>(self, sink.get()));
    }
  }
  return std::make_unique<Stream>(std::move(self));
}

// ---- the session's thread ----

std::optional<int> ActiveRequest::OnTokens(ChoiceSink& sink, std::span<const TokenId> tokens,
                                           std::span<const v1::TokenLogprobs* const> logprobs) {
  ObserveTokens(sink, tokens.size());
  Delta delta{.index = sink.index};
  for (size_t i = 0; i < tokens.size() && !sink.choice.stopped(); ++i) {
    std::optional<TokenLogprob> logprob;
    if (!logprobs.empty()) logprob = ReadLogprob(tokens[i], *logprobs[i]);
    sink.choice.Push(tokens[i], std::move(logprob), delta);
  }
  std::function<void()> readable;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return std::nullopt;
    if (!sink.choice.stopped()) {
      Put(std::move(delta));
    } else {
      ChoiceFinished finished = sink.choice.Finish(FinishReason::kStop, delta);
      Put(std::move(delta));
      events_.emplace_back(std::move(finished));
      sink.finished = true;
    }
    if (!events_.empty()) readable = std::exchange(readable_, nullptr);
  }
  if (readable) readable();
  if (sink.choice.stopped()) return sink.choice.num_tokens();
  return std::nullopt;
}

void ActiveRequest::OnPromptLogprobs(const v1::PromptLogprobs& logprobs, int first_entry) {
  const int num_top = static_cast<int>(logprobs.num_top());
  for (int i = first_entry; i < logprobs.logprobs_size(); ++i) {
    const TokenId token = (*options_.prompt)[prompt_logprobs_.size()];
    PromptLogprob& one = prompt_logprobs_.emplace_back();
    one.token = MakeLogprob(token, logprobs.logprobs(i));
    one.rank = static_cast<int>(logprobs.ranks(i));
    one.top.reserve(static_cast<size_t>(num_top));
    for (int k = i * num_top; k < (i + 1) * num_top; ++k) {
      one.top.push_back(MakeLogprob(logprobs.top_tokens(k), logprobs.top_logprobs(k)));
    }
  }
}

void ActiveRequest::OnEnd(ChoiceSink& sink, const SequenceEnd& end) {
  std::function<void()> readable;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    if (absl::Status status = StatusOf(end); !status.ok()) {
      const bool is_refused = end.kind == SequenceEnd::Kind::kRejected;
      if (is_refused) metrics_.Rejected(status);
      RecordSpan(std::string(status.message()));
      PutLast(Failed{.status = std::move(status),
                     .retry_after = absl::Milliseconds(end.retry_after.count())},
              is_refused ? metrics_.refused : metrics_.failed);
      CancelAll();
    } else {
      if (!sink.finished) {
        Delta delta{.index = sink.index};
        ChoiceFinished finished = sink.choice.Finish(
            end.kind == SequenceEnd::Kind::kLength ? FinishReason::kLength : FinishReason::kStop,
            delta);
        Put(std::move(delta));
        events_.emplace_back(std::move(finished));
        sink.finished = true;
      }
      usage_.completion_tokens += sink.choice.num_tokens();
      usage_.reasoning_tokens += sink.choice.num_reasoning_tokens();
      // The choices share one prompt: what the first had to compute, the others find.
      usage_.cached_tokens = std::min(usage_.cached_tokens, end.num_cached_tokens);
      if (--num_unfinished_ == 0) {
        RecordSpan("");
        PutLast(Completed{.usage = usage_, .prompt_logprobs = std::move(prompt_logprobs_)},
                metrics_.completed);
      }
    }
    readable = std::exchange(readable_, nullptr);
  }
  if (readable) readable();
}

absl::Status ActiveRequest::StatusOf(const SequenceEnd& end) const {
  switch (end.kind) {
    case SequenceEnd::Kind::kStop:
    case SequenceEnd::Kind::kLength:
      return absl::OkStatus();
    case SequenceEnd::Kind::kTimeout:
      return absl::DeadlineExceededError(
          absl::StrFormat("The request did not finish within its timeout of %g seconds.",
                          static_cast<double>(options_.timeout.count()) / 1000));
    case SequenceEnd::Kind::kError:
      return absl::InternalError(end.message.empty() ? "The request failed." : end.message);
    case SequenceEnd::Kind::kLost:
      return absl::UnavailableError(end.message);
    case SequenceEnd::Kind::kRejected:
      break;
  }
  switch (end.reject_code) {
    case v1::REJECT_CODE_INVALID:
      return absl::InvalidArgumentError(end.message);
    case v1::REJECT_CODE_QUOTA:
      return absl::ResourceExhaustedError(end.message);
    default:
      return absl::UnavailableError(end.message);
  }
}

Logprob ActiveRequest::MakeLogprob(TokenId id, float logprob) const {
  return {.id = id, .token = std::string(tokenizer_->TokenBytes(id)), .logprob = logprob};
}

TokenLogprob ActiveRequest::ReadLogprob(TokenId id, const v1::TokenLogprobs& logprobs) const {
  TokenLogprob result{.token = MakeLogprob(id, logprobs.logprob())};
  const int num_top = std::min(logprobs.top_tokens_size(), logprobs.top_logprobs_size());
  for (int i = 0; i < num_top; ++i) {
    result.top.push_back(MakeLogprob(logprobs.top_tokens(i), logprobs.top_logprobs(i)));
  }
  return result;
}

void ActiveRequest::ObserveTokens(ChoiceSink& sink, size_t num_tokens) {
  const auto now = steady_clock::now();
  const auto seconds_since = [now](MonotonicTime then) {
    return std::chrono::duration<double>(now - then).count();
  };
  if (!first_token_at_) {
    first_token_at_ = now;
    metrics_.time_to_first_token.Observe(seconds_since(options_.arrived));
  }
  if (sink.last_token_at != MonotonicTime()) {
    const double gap = seconds_since(sink.last_token_at) / static_cast<double>(num_tokens);
    for (size_t i = 0; i < num_tokens; ++i) metrics_.inter_token_latency.Observe(gap);
  }
  sink.last_token_at = now;
}

// ---- the consumer ----

void ActiveRequest::OnReadable(std::function<void()> readable) {
  std::lock_guard lock(mutex_);
  if (events_.empty()) {
    readable_ = std::move(readable);
  } else {
    upstream_.Post(std::move(readable));
  }
}

std::vector<Event> ActiveRequest::Take() {
  std::lock_guard lock(mutex_);
  std::fill(open_delta_.begin(), open_delta_.end(), -1);
  return std::exchange(events_, {});
}

void ActiveRequest::Abandon() {
  std::function<void()> readable;  // what it holds goes after the lock
  std::lock_guard lock(mutex_);
  readable = std::exchange(readable_, nullptr);
  if (ended_) return;
  ended_ = true;
  RecordSpan("the client left");
  metrics_.in_flight.Decrement();
  metrics_.cancelled.Increment();
  metrics_.client_disconnects.Increment();
  CancelAll();
}

// ---- events ----

void ActiveRequest::Put(Delta delta) {
  if (delta.num_tokens == 0 && delta.content.empty() && delta.reasoning.empty() &&
      delta.tool_calls.empty() && delta.token_ids.empty()) {
    return;
  }
  int& open = open_delta_[static_cast<size_t>(delta.index)];
  if (open < 0) {
    open = static_cast<int>(events_.size());
    events_.emplace_back(std::move(delta));
    return;
  }
  Delta& last = std::get<Delta>(events_[static_cast<size_t>(open)]);
  last.content += delta.content;
  last.reasoning += delta.reasoning;
  last.num_tokens += delta.num_tokens;
  std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(last.logprobs));
  last.token_ids.insert(last.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  for (ToolCallDelta& call : delta.tool_calls) {
    if (call.id.empty() && !last.tool_calls.empty() && last.tool_calls.back().call == call.call) {
      last.tool_calls.back().arguments += call.arguments;
    } else {
      last.tool_calls.push_back(std::move(call));
    }
  }
}

void ActiveRequest::PutLast(Event event, prometheus::Counter& outcome) {
  events_.emplace_back(std::move(event));
  ended_ = true;
  metrics_.in_flight.Decrement();
  outcome.Increment();
}

// In the terms of OpenTelemetry's conventions for generative AI.
void ActiveRequest::RecordSpan(const std::string& error) {
  if (!options_.tracer->records(options_.trace.context)) return;
  Span span{.name = absl::StrCat("generate ", options_.model),
            .context = options_.trace.context,
            .parent = options_.trace.parent,
            .begin_ns = UnixNanosAgo(steady_clock::now() - options_.arrived),
            .end_ns = UnixNanos(),
            .attributes = {{"gen_ai.request.model", options_.model},
                           {"gen_ai.request.choice.count", static_cast<int64_t>(choices_.size())},
                           {"gen_ai.usage.input_tokens", int64_t{usage_.prompt_tokens}}},
            .error = error};
  if (error.empty()) {
    span.attributes.emplace_back("gen_ai.usage.output_tokens", int64_t{usage_.completion_tokens});
  }
  if (first_token_at_) {
    const std::chrono::duration<double> ttft = *first_token_at_ - options_.arrived;
    span.attributes.emplace_back("weft.time_to_first_token_s", ttft.count());
  }
  options_.tracer->Record(std::move(span));
}

void ActiveRequest::CancelAll() {
  for (const auto& sink : choices_) upstream_.Cancel(sink->sequence);
}

}  // namespace weft::gateway
