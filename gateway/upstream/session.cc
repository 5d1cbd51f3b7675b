#include "gateway/upstream/session.h"

#include <algorithm>
#include <utility>

#include "common/sampling_proto.h"

namespace weft::gateway {
namespace {

using std::chrono::milliseconds;

// The sequence lacks nothing but the scheduler's word for its end.
std::optional<SequenceEnd> KnownEnd(const Submission& submission,
                                    const std::vector<TokenId>& delivered) {
  if (delivered.empty()) return std::nullopt;
  const auto& stops = submission.sampling.stop_token_ids;
  if (std::find(stops.begin(), stops.end(), delivered.back()) != stops.end()) {
    return SequenceEnd{.kind = SequenceEnd::Kind::kStop};
  }
  if (delivered.size() >= static_cast<size_t>(submission.max_tokens)) {
    return SequenceEnd{.kind = SequenceEnd::Kind::kLength};
  }
  return std::nullopt;
}

constexpr char kPromptLogprobsLost[] =
    "the prompt's logprobs were lost between scheduler and gateway";

SequenceEnd Failure(std::string message) {
  return {.kind = SequenceEnd::Kind::kError, .message = std::move(message)};
}

}  // namespace

Session::Session(SessionOptions options) : options_(std::move(options)) {}

// ---- the owner's wishes ----

void Session::Open(SequenceId id, Submission submission, std::shared_ptr<SequenceSink> sink,
                   MonotonicTime now) {
  Sequence& sequence = open_[id];
  sequence.submission = std::move(submission);
  sequence.sink = std::move(sink);
  if (state_.welcomed) {
    Submit(id, sequence, now);
  } else {
    sequence.recover_by = now + options_.recovery_wait;
    waiting_.insert(id);
  }
}

void Session::Cancel(SequenceId id) {
  const auto it = open_.find(id);
  if (it == open_.end()) return;
  ReleaseHandle(it->second);
  waiting_.erase(id);
  open_.erase(it);
}

// ---- the stream ----

void Session::LinkUp(MonotonicTime now) {
  linked_ = true;
  linked_at_ = now;
  wants_new_link_ = false;
  next_handle_ = 1;
  outgoing_.emplace_back().mutable_hello()->set_gateway_id(options_.gateway_id);
}

void Session::LinkDown(MonotonicTime now) {
  linked_ = false;
  wants_new_link_ = false;
  if (std::exchange(state_.welcomed, false)) state_.lost_at = now;
  state_.num_ready_workers = 0;
  state_.retry_after = milliseconds(0);
  outgoing_.clear();
  handles_.clear();
  for (auto it = open_.begin(); it != open_.end();) {
    const auto current = it++;
    auto& [id, sequence] = *current;
    sequence.handle = 0;
    waiting_.insert(id);
    if (!sequence.recover_by || *sequence.recover_by < now) {
      sequence.recover_by = now + options_.recovery_wait;
    }
    if (sequence.num_kept) {
      End(current, {.kind = SequenceEnd::Kind::kStop});
    } else if (auto end = KnownEnd(sequence.submission, sequence.delivered)) {
      End(current, *end);
    }
  }
}

void Session::Receive(const v1::SchedulerFrame& frame, MonotonicTime now) {
  if (!linked_ || wants_new_link_ || !AcceptFrame(frame)) return;
  // A handle's prompt logprobs come before its tokens, its tokens before its end.
  for (const v1::PromptLogprobsPart& part : frame.prompt_logprobs()) OnPromptLogprobs(part);
  if (!OnTokens(frame.tokens())) {
    wants_new_link_ = true;
    return;
  }
  for (const v1::Finished& finished : frame.finished()) OnFinished(finished);
  for (const v1::Rejected& rejected : frame.rejected()) OnRejected(rejected, now);
  if (frame.has_load()) OnLoad(frame.load());
  if (frame.has_not_leader()) TurnTo(frame.not_leader());
  SubmitWaiting(now);
}

void Session::Tick(MonotonicTime now) {
  if (linked_ && !state_.welcomed && now >= linked_at_ + options_.welcome_wait) {
    wants_new_link_ = true;
  }
  SubmitWaiting(now);
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto sequence = open_.find(*it++);
    const auto& deadline = sequence->second.submission.deadline;
    if (deadline && now >= *deadline) {
      End(sequence, {.kind = SequenceEnd::Kind::kTimeout});
    } else if (now >= *sequence->second.recover_by) {
      End(sequence, {.kind = SequenceEnd::Kind::kLost,
                     .retry_after = milliseconds(1000),
                     .message = "the scheduler was lost and did not come back in time"});
    }
  }
}

// ---- what is to be done ----

std::deque<v1::GatewayFrame> Session::TakeOutgoing() { return std::exchange(outgoing_, {}); }

std::optional<MonotonicTime> Session::NextWakeup() const {
  std::optional<MonotonicTime> wakeup;
  const auto at = [&wakeup](std::optional<MonotonicTime> time) {
    if (time) wakeup = wakeup ? std::min(*wakeup, *time) : *time;
  };
  if (linked_ && !state_.welcomed && !wants_new_link_) at(linked_at_ + options_.welcome_wait);
  for (SequenceId id : waiting_) {
    const Sequence& sequence = open_.at(id);
    at(sequence.submission.deadline);
    at(sequence.recover_by);
    if (CanSubmit()) at(sequence.resubmit_at);
  }
  return wakeup;
}

// ---- sequences ----

v1::GatewayFrame& Session::Outgoing() {
  v1::GatewayFrame& frame = outgoing_.emplace_back();
  frame.set_epoch(epoch_);
  return frame;
}

// A scheduler that has just begun, too, turns everything away until its first
// worker has come.
bool Session::CanSubmit() const {
  return state_.welcomed && !wants_new_link_ && state_.num_ready_workers > 0;
}

void Session::SubmitWaiting(MonotonicTime now) {
  if (!CanSubmit()) return;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const SequenceId id = *it++;
    Sequence& sequence = open_.at(id);
    if (sequence.resubmit_at && now < *sequence.resubmit_at) continue;
    sequence.resubmit_at.reset();
    Submit(id, sequence, now);
  }
}

void Session::Submit(SequenceId id, Sequence& sequence, MonotonicTime now) {
  sequence.handle = next_handle_++;
  // All four billion of this stream are used up: the next stream begins anew.
  if (next_handle_ == 0) wants_new_link_ = true;
  waiting_.erase(id);

  const Submission& submission = sequence.submission;
  handles_[sequence.handle] = {.id = id,
                               .has_logprobs = submission.sampling.num_logprobs.has_value()};
  v1::Submit& submit = *Outgoing().mutable_submit();
  submit.set_handle(sequence.handle);
  submit.set_tenant(submission.tenant);
  submit.mutable_prompt_tokens()->Assign(submission.prompt->begin(), submission.prompt->end());
  submit.mutable_delivered_tokens()->Assign(sequence.delivered.begin(), sequence.delivered.end());
  ToProto(submission.sampling, *submit.mutable_sampling());
  submit.set_max_tokens(static_cast<uint32_t>(submission.max_tokens));
  if (submission.deadline) {
    // 0 would mean none; the scheduler tells what is late already.
    const auto left = std::chrono::ceil<milliseconds>(*submission.deadline - now).count();
    submit.set_timeout_ms(static_cast<uint32_t>(std::clamp<int64_t>(left, 1, UINT32_MAX)));
  }
  submit.set_priority(submission.priority);
  submit.set_cache_salt(submission.cache_salt);
  if (submission.trace.valid()) submit.set_traceparent(FormatTraceparent(submission.trace));
}

void Session::ReleaseHandle(Sequence& sequence) {
  if (sequence.handle == 0) return;
  handles_[sequence.handle].id = 0;
  Outgoing().mutable_cancel()->set_handle(sequence.handle);
  sequence.handle = 0;
}

void Session::Fail(Sequences::iterator it, std::string message) {
  ReleaseHandle(it->second);
  End(it, Failure(std::move(message)));
}

void Session::End(Sequences::iterator it, const SequenceEnd& end) {
  const std::shared_ptr<SequenceSink> sink = std::move(it->second.sink);
  waiting_.erase(it->first);
  open_.erase(it);
  sink->OnEnd(end);
}

// ---- frames ----

// False: there is nothing in it for this session.
bool Session::AcceptFrame(const v1::SchedulerFrame& frame) {
  if (frame.has_not_leader() && !state_.welcomed) {
    TurnTo(frame.not_leader());
    return false;
  }
  const bool is_welcome = frame.has_welcome() && !state_.welcomed;
  if (is_welcome && frame.epoch() >= epoch_) {
    epoch_ = frame.epoch();
    state_.welcomed = true;
    return true;
  }
  if (!state_.welcomed || frame.epoch() > epoch_) {
    // A holder that another has followed, a new one, or no scheduler at all.
    wants_new_link_ = true;
    return false;
  }
  return frame.epoch() == epoch_;
}

// It stands by, or has handed over to another.
void Session::TurnTo(const v1::NotLeader& other) {
  leader_ = other.address();
  wants_new_link_ = true;
}

void Session::OnPromptLogprobs(const v1::PromptLogprobsPart& part) {
  const auto handle = handles_.find(part.handle());
  if (handle == handles_.end()) {
    ++num_unknown_handles_;
    return;
  }
  if (handle->second.id == 0) return;
  const auto it = open_.find(handle->second.id);
  Sequence& sequence = it->second;
  if (sequence.num_kept || !sequence.submission.sampling.num_prompt_logprobs) return;

  const v1::PromptLogprobs& logprobs = part.logprobs();
  const int64_t count = logprobs.logprobs_size();
  const int64_t first = logprobs.first_position();
  const int64_t num_known = sequence.num_prompt_logprobs + 1 - first;
  if (!IsWhole(logprobs) || first < 1 || num_known < 0 ||
      first + count > static_cast<int64_t>(sequence.submission.prompt->size())) {
    return Fail(it, kPromptLogprobsLost);
  }
  if (num_known >= count) return;  // computed once more
  sequence.recover_by.reset();
  sequence.num_prompt_logprobs += static_cast<int>(count - num_known);
  sequence.sink->OnPromptLogprobs(logprobs, static_cast<int>(num_known));
}

// False: the lists do not fit together.
bool Session::OnTokens(const v1::Tokens& tokens) {
  const int num_entries = tokens.handles_size();
  if (tokens.counts_size() != num_entries || tokens.first_indexes_size() != num_entries) {
    return false;
  }
  const std::span<const TokenId> all(tokens.tokens().data(),
                                     static_cast<size_t>(tokens.tokens_size()));
  const std::span<const v1::TokenLogprobs* const> all_logprobs(
      tokens.logprobs().data(), static_cast<size_t>(tokens.logprobs_size()));
  size_t at = 0;
  size_t logprob_at = 0;
  for (int i = 0; i < num_entries; ++i) {
    const size_t count = tokens.counts(i);
    if (count > all.size() - at) return false;
    const auto ids = all.subspan(at, count);
    at += count;
    const auto handle = handles_.find(tokens.handles(i));
    if (handle == handles_.end()) {
      ++num_unknown_handles_;
      continue;
    }
    std::span<const v1::TokenLogprobs* const> logprobs;
    if (handle->second.has_logprobs) {
      if (count > all_logprobs.size() - logprob_at) return false;
      logprobs = all_logprobs.subspan(logprob_at, count);
      logprob_at += count;
    }
    if (handle->second.id != 0) {
      Deliver(open_.find(handle->second.id), tokens.first_indexes(i), ids, logprobs);
    }
  }
  return at == all.size() && logprob_at == all_logprobs.size();
}

void Session::Deliver(Sequences::iterator it, size_t first_index, std::span<const TokenId> tokens,
                      std::span<const v1::TokenLogprobs* const> logprobs) {
  Sequence& sequence = it->second;
  if (sequence.num_kept) return;
  if (first_index > sequence.delivered.size()) {
    return Fail(it, "output was lost between scheduler and gateway");
  }
  const size_t num_known = std::min(sequence.delivered.size() - first_index, tokens.size());
  tokens = tokens.subspan(num_known);
  if (!logprobs.empty()) logprobs = logprobs.subspan(num_known);
  if (tokens.empty()) return;
  const bool lacks_prompt_logprobs =
      sequence.submission.sampling.num_prompt_logprobs &&
      sequence.num_prompt_logprobs + 1 < static_cast<int>(sequence.submission.prompt->size());
  if (lacks_prompt_logprobs) return Fail(it, kPromptLogprobsLost);

  sequence.recover_by.reset();
  sequence.delivered.insert(sequence.delivered.end(), tokens.begin(), tokens.end());
  sequence.num_kept = sequence.sink->OnTokens(tokens, logprobs);
  if (sequence.num_kept) {
    v1::Conclude& conclude = *Outgoing().mutable_conclude();
    conclude.set_handle(sequence.handle);
    conclude.set_num_tokens(static_cast<uint32_t>(*sequence.num_kept));
  }
}

// The scheduler has said the handle's end; end(): its sequence is gone.
Session::Sequences::iterator Session::TakeHandle(uint32_t handle) {
  const auto it = handles_.find(handle);
  if (it == handles_.end()) {
    ++num_unknown_handles_;
    return open_.end();
  }
  const SequenceId id = it->second.id;
  handles_.erase(it);
  const auto sequence = id == 0 ? open_.end() : open_.find(id);
  if (sequence != open_.end()) sequence->second.handle = 0;
  return sequence;
}

void Session::OnFinished(const v1::Finished& finished) {
  const auto it = TakeHandle(finished.handle());
  if (it == open_.end()) return;
  SequenceEnd end{.num_cached_tokens = static_cast<int>(finished.num_cached_tokens()),
                  .message = finished.message()};
  switch (finished.reason()) {
    case v1::FINISH_REASON_STOP:
      end.kind = SequenceEnd::Kind::kStop;
      break;
    case v1::FINISH_REASON_LENGTH:
      end.kind = SequenceEnd::Kind::kLength;
      break;
    case v1::FINISH_REASON_TIMEOUT:
      end.kind = SequenceEnd::Kind::kTimeout;
      break;
    default:
      end.kind = SequenceEnd::Kind::kError;
      break;
  }
  // What its owner has concluded ended well, whatever became of it before the scheduler heard.
  if (it->second.num_kept) end.kind = SequenceEnd::Kind::kStop;
  End(it, end);
}

void Session::OnRejected(const v1::Rejected& rejected, MonotonicTime now) {
  const auto it = TakeHandle(rejected.handle());
  if (it == open_.end()) return;
  const auto retry_after = milliseconds(rejected.retry_after_ms());
  if (Sequence& sequence = it->second; sequence.recover_by && retry_after.count() > 0) {
    // Its client has been served before the loss: it may wait as long as that allows.
    sequence.resubmit_at = now + retry_after;
    waiting_.insert(it->first);
    return;
  }
  End(it, {.kind = SequenceEnd::Kind::kRejected,
           .reject_code = rejected.code(),
           .retry_after = retry_after,
           .message = rejected.message()});
}

void Session::OnLoad(const v1::Load& load) {
  state_.num_ready_workers = static_cast<int>(load.num_ready_workers());
  state_.num_running = static_cast<int>(load.num_running());
  state_.num_waiting = static_cast<int>(load.num_waiting());
  state_.retry_after = milliseconds(load.retry_after_ms());
  if (load.has_model()) OnModel(load.model());
}

void Session::OnModel(const v1::ModelFacts& model) {
  const bool changed = state_.model && state_.model->fingerprint() != model.fingerprint();
  state_.model = model;
  if (!changed) return;
  // What one model has begun, another cannot go on with.
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto sequence = open_.find(*it++);
    if (!sequence->second.delivered.empty() || sequence->second.num_prompt_logprobs > 0) {
      End(sequence, Failure("the model was replaced while the request was running"));
    }
  }
}

}  // namespace weft::gateway
