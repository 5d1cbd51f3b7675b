// A gateway's side of SchedulerService.Session without the stream: which sequences
// are open, what each has received, what is to be said next. Does no I/O and reads
// no clock, so that a simulation can drive the real one; upstream.h is the stream
// around it.
//
// A sequence outlives the stream that carries it. When the stream breaks, its
// tokens so far are submitted again on the next one, with the seed and limits it
// had, and whoever owns it notices only a pause. That wait is bounded: a sequence
// that has not been taken up again by then ends in kLost.
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/sampling.h"
#include "common/trace_context.h"
#include "weft/v1/scheduler.pb.h"

namespace weft::gateway {

using MonotonicTime = std::chrono::steady_clock::time_point;
using SequenceId = uint64_t;

// What one choice asks of the scheduler.
struct Submission {
  std::string tenant;
  std::shared_ptr<const std::vector<TokenId>> prompt;  // shared by a request's choices
  SamplingParams sampling;
  int max_tokens = 0;
  std::optional<MonotonicTime> deadline;
  int priority = 0;
  std::string cache_salt;
  SpanContext trace;  // handed on
};

struct SequenceEnd {
  enum class Kind {
    kStop,  // a stop token, or the owner's own wish
    kLength,
    kTimeout,
    kError,     // the scheduler's message is for the client
    kRejected,  // never ran; `reject_code`, and `retry_after` if that would help
    kLost,      // the scheduler went away and did not come back in time
  };
  Kind kind = Kind::kError;
  TokenId stop_token = -1;
  int num_cached_tokens = 0;
  v1::RejectCode reject_code = v1::REJECT_CODE_UNSPECIFIED;
  std::chrono::milliseconds retry_after{0};
  std::string message;
};

// A sequence's owner. Called by the session, tokens any number of times and then
// one end. It must not call the session back.
class SequenceSink {
 public:
  virtual ~SequenceSink() = default;

  // `logprobs`: one per token, or none. A number returned is how many of all its
  // output tokens the owner keeps: it wants no more of them, and only the end
  // follows.
  virtual std::optional<int> OnTokens(std::span<const TokenId> tokens,
                                      std::span<const v1::TokenLogprobs* const> logprobs) = 0;
  // Its prompt's logprobs, if it asked for them: each position once, in order, from 1
  // on, all before the first token. New are the entries from `first_entry` on.
  virtual void OnPromptLogprobs(const v1::PromptLogprobs& logprobs, int first_entry) = 0;
  virtual void OnEnd(const SequenceEnd& end) = 0;
};

// What the scheduler has last said of itself.
struct SchedulerState {
  bool welcomed = false;  // a session is open
  // When the last one ended; nothing while none ever was open.
  std::optional<MonotonicTime> lost_at;
  int num_ready_workers = 0;
  int num_running = 0;
  int num_waiting = 0;
  // Above 0: its queue is full, and this is how long a client should wait.
  std::chrono::milliseconds retry_after{0};
  std::optional<v1::ModelFacts> model;  // stays known while the session is broken
};

struct SessionOptions {
  std::string gateway_id;
  // From the loss of a stream until its sequences must be running again.
  std::chrono::milliseconds recovery_wait{30000};
  // A stream that is not welcomed by then is given up.
  std::chrono::milliseconds welcome_wait{10000};
};

class Session {
 public:
  explicit Session(SessionOptions options);

  // ---- the owner's wishes ----

  // `id` is new. Without a session the sequence waits for one, as a broken one's do.
  void Open(SequenceId id, Submission submission, std::shared_ptr<SequenceSink> sink,
            MonotonicTime now);
  // The owner hears nothing more. Unknown and ended ids are ignored.
  void Cancel(SequenceId id);

  // ---- the stream ----

  // A new one has begun. Hello is the first outgoing frame.
  void LinkUp(MonotonicTime now);
  // The present one has ended. What was outgoing is forgotten with it.
  void LinkDown(MonotonicTime now);
  void Receive(const v1::SchedulerFrame& frame, MonotonicTime now);
  void Tick(MonotonicTime now);

  // ---- what is to be done ----

  std::deque<v1::GatewayFrame> TakeOutgoing();
  // The stream is of no more use: end it and begin another.
  bool wants_new_link() const { return wants_new_link_; }
  // Where NotLeader pointed, for the next link; empty: the configured address.
  std::string TakeLeader() { return std::exchange(leader_, {}); }
  // When Tick has something to do; nullopt: not by itself.
  std::optional<MonotonicTime> NextWakeup() const;

  const SchedulerState& state() const { return state_; }
  size_t num_open() const { return open_.size(); }
  // Entries for handles that were never given out or have ended: ignored.
  uint64_t num_unknown_handles() const { return num_unknown_handles_; }

 private:
  struct Sequence {
    Submission submission;
    std::shared_ptr<SequenceSink> sink;
    std::vector<TokenId> delivered;
    int num_prompt_logprobs = 0;  // delivered, from position 1 on
    uint32_t handle = 0;          // in the present stream; 0: waits in `waiting_`
    std::optional<int> num_kept;  // the owner has concluded it
    // After a loss, until tokens come again.
    std::optional<MonotonicTime> recover_by;
    std::optional<MonotonicTime> resubmit_at;  // turned away till then
  };
  using Sequences = std::map<SequenceId, Sequence>;  // in the order of arrival

  // A handle lives until the scheduler has said its end, even if its sequence has
  // gone before: what is still on its way must be told apart.
  struct Handle {
    SequenceId id = 0;  // 0: cancelled
    bool has_logprobs = false;
  };

  bool CanSubmit() const;
  void SubmitWaiting(MonotonicTime now);
  void Submit(SequenceId id, Sequence& sequence, MonotonicTime now);
  void ReleaseHandle(Sequence& sequence);  // cancels it on the stream
  // Removes the sequence and tells its owner.
  void End(Sequences::iterator it, const SequenceEnd& end);
  void Fail(Sequences::iterator it, std::string message);  // and the scheduler hears of it
  v1::GatewayFrame& Outgoing();

  bool AcceptFrame(const v1::SchedulerFrame& frame);
  void TurnTo(const v1::NotLeader& other);
  void OnPromptLogprobs(const v1::PromptLogprobsPart& part);
  bool OnTokens(const v1::Tokens& tokens);
  void Deliver(Sequences::iterator it, size_t first_index, std::span<const TokenId> tokens,
               std::span<const v1::TokenLogprobs* const> logprobs);
  Sequences::iterator TakeHandle(uint32_t handle);
  void OnFinished(const v1::Finished& finished);
  void OnRejected(const v1::Rejected& rejected, MonotonicTime now);
  void OnLoad(const v1::Load& load);
  void OnModel(const v1::ModelFacts& model);

  const SessionOptions options_;
  Sequences open_;
  std::set<SequenceId> waiting_;  // those of open_ without a handle
  absl::flat_hash_map<uint32_t, Handle> handles_;
  uint32_t next_handle_ = 1;
  std::deque<v1::GatewayFrame> outgoing_;

  bool linked_ = false;
  bool wants_new_link_ = false;
  MonotonicTime linked_at_;
  std::string leader_;
  uint64_t epoch_ = 0;  // the highest ever seen
  SchedulerState state_;
  uint64_t num_unknown_handles_ = 0;
};

}  // namespace weft::gateway
