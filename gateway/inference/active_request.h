// A request that runs: its choices on one side, the events its client reads on the
// other. The session's thread pushes tokens in; the codec takes events out
// whenever it likes. Neither waits for the other: what has not been taken is
// merged.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/tracer.h"
#include "gateway/inference/choice.h"
#include "gateway/inference/event.h"
#include "gateway/inference/gateway_metrics.h"
#include "gateway/inference/service.h"
#include "gateway/upstream/upstream.h"

namespace weft::gateway {

class ActiveRequest : public std::enable_shared_from_this<ActiveRequest> {
 public:
  struct Options {
    std::shared_ptr<const std::vector<TokenId>> prompt;
    MonotonicTime arrived;
    std::chrono::milliseconds timeout{0};  // as the message of its expiry tells it
    std::string model;                     // as its span names it
    Tracer* tracer = Tracer::Off();        // gets that span
    Tracer::Begun trace;
  };
  struct ChoicePlan {
    ChoiceOptions options;
    Submission submission;
  };

  // `upstream` and `metrics` outlive it.
  ActiveRequest(Options options, std::vector<ChoicePlan> choices,
                std::shared_ptr<const text::Tokenizer> tokenizer, Upstream& upstream,
                GatewayMetrics& metrics);
  ~ActiveRequest();

  // Submits every choice. The stream is the consumer's side; destroying it before
  // its last event cancels what still runs. Once.
  std::unique_ptr<EventStream> Start();

 private:
  class ChoiceSink;
  class Stream;

  // The session's thread.
  std::optional<int> OnTokens(ChoiceSink& sink, std::span<const TokenId> tokens,
                              std::span<const v1::TokenLogprobs* const> logprobs);
  void OnPromptLogprobs(const v1::PromptLogprobs& logprobs, int first_entry);
  void OnEnd(ChoiceSink& sink, const SequenceEnd& end);
  absl::Status StatusOf(const SequenceEnd& end) const;
  Logprob MakeLogprob(TokenId id, float logprob) const;
  TokenLogprob ReadLogprob(TokenId id, const v1::TokenLogprobs& logprobs) const;
  void ObserveTokens(ChoiceSink& sink, size_t num_tokens);

  // The consumer's.
  void OnReadable(std::function<void()> readable);
  std::vector<Event> Take();
  void Abandon();

  // All with mutex_ held.
  void Put(Delta delta);
  void PutLast(Event event, prometheus::Counter& outcome);
  void CancelAll();
  void RecordSpan(const std::string& error);

  const Options options_;
  const std::shared_ptr<const text::Tokenizer> tokenizer_;
  Upstream& upstream_;
  GatewayMetrics& metrics_;
  std::vector<std::unique_ptr<ChoiceSink>> choices_;
  // The session's thread; of the choice that was first.
  std::optional<MonotonicTime> first_token_at_;
  std::vector<PromptLogprob> prompt_logprobs_;  // likewise; from position 0 on

  std::mutex mutex_;  // guards all below
  std::vector<Event> events_;
  std::vector<int> open_delta_;  // by choice: where in events_ to merge; -1: nowhere
  std::function<void()> readable_;
  int num_unfinished_ = 0;
  Usage usage_;
  bool ended_ = false;  // the last event has been put, or nobody reads any more
};

}  // namespace weft::gateway
