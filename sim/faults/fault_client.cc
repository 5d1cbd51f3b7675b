#include "sim/faults/fault_client.h"

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft::sim {

using Kind = gateway::SequenceEnd::Kind;

void FaultClient::Require(bool condition, const char* rule, const std::string& message) const {
  if (!condition) s_.require(false, absl::StrCat("request ", id, ": ", rule, "; ", message));
}

std::optional<int> FaultClient::OnTokens(std::span<const TokenId> tokens,
                                         std::span<const v1::TokenLogprobs* const> logprobs) {
  const SamplingParams& sampling = submission.sampling;
  Require(!is_over, "tokens behind its end");
  Require(!is_concluded, "tokens behind its conclusion");
  Require(!sampling.num_prompt_logprobs ||
              num_prompt_logprobs_ + 1 == static_cast<int>(submission.prompt->size()),
          "a token before its prompt's logprobs");
  Require(logprobs.size() == (sampling.num_logprobs ? tokens.size() : 0), "as many logprobs");
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int index = static_cast<int>(received_.size());
    Require(tokens[i] == ExpectedToken(sampling, index, s_.world.vocab_size), "a wrong token");
    Require(logprobs.empty() || logprobs[i]->logprob() == ExpectedLogprob(id, index),
            "a wrong logprob");
    received_.push_back(tokens[i]);
  }
  Require(static_cast<int>(received_.size()) <= submission.max_tokens, "longer than max_tokens");
  heard_at_ = s_.clock.now_us();
  terms_.insert(s_.term);
  if (!conclude_at || static_cast<int>(received_.size()) < *conclude_at) return std::nullopt;
  is_concluded = true;
  if (on_conclude) on_conclude();
  return *conclude_at;
}

void FaultClient::OnPromptLogprobs(const v1::PromptLogprobs& logprobs, int first_entry) {
  Require(submission.sampling.num_prompt_logprobs.has_value(), "nobody asked for logprobs");
  Require(received_.empty() && !is_over, "prompt logprobs come late");
  for (int i = first_entry; i < logprobs.logprobs_size(); ++i) {
    const int position = static_cast<int>(logprobs.first_position()) + i;
    Require(position == ++num_prompt_logprobs_, "prompt logprobs out of order");
    Require(logprobs.logprobs(i) == ExpectedPromptLogprob(id, position), "a wrong prompt logprob");
  }
  heard_at_ = s_.clock.now_us();
}

void FaultClient::OnEnd(const gateway::SequenceEnd& end) {
  Require(!is_over, "it ended twice");
  CheckEnd(end);
  FaultReport& report = s_.report;
  Leave(end.kind == Kind::kStop || end.kind == Kind::kLength ? report.num_completed
        : end.kind == Kind::kRejected                        ? report.num_rejected
                                                             : report.num_failed);
}

void FaultClient::Leave(int64_t& count) {
  is_over = true;
  ++count;
  ++s_.num_over;
  if (terms_.size() > 1) ++s_.report.num_continued;
}

bool FaultClient::CheckStops() const {
  const SamplingParams& sampling = submission.sampling;
  if (sampling.stop_token_ids.empty()) return false;
  const int num_received = static_cast<int>(received_.size());
  for (int i = sampling.min_tokens; i < num_received; ++i) {
    if (received_[i] != sampling.stop_token_ids[0]) continue;
    Require(i == num_received - 1, "tokens behind a stop token");
    return true;
  }
  return false;
}

bool FaultClient::is_full() const {
  return static_cast<int>(submission.prompt->size() + received_.size()) >=
         s_.world.smallest_capacity();
}

void FaultClient::CheckEnd(const gateway::SequenceEnd& end) const {
  const int64_t now = s_.clock.now_us();
  const bool has_stop = CheckStops();
  if (is_concluded) return Require(end.kind == Kind::kStop, "it was concluded", end.message);
  switch (end.kind) {
    case Kind::kStop:
      return Require(has_stop, "nothing stopped it");
    case Kind::kLength:
      return Require(static_cast<int>(received_.size()) == submission.max_tokens || is_full(),
                     "neither max_tokens nor the context is reached");
    case Kind::kTimeout:
      return Require(submission.deadline.has_value() && (submission.deadline->time_since_epoch() <=
                                                             std::chrono::microseconds(now) ||
                                                         s_.report.num_clock_jumps > 0),
                     "its deadline is not reached");
    case Kind::kRejected:
      return CheckRejected(end);
    case Kind::kLost:
      return Require(!s_.is_quiet && (now - heard_at_ >= s_.world.recovery_wait ||
                                      s_.report.num_clock_jumps > 0),
                     "given up too soon");
    case Kind::kError:
      return CheckError(end.message);
  }
}

void FaultClient::CheckRejected(const gateway::SequenceEnd& end) const {
  const core::Config& core = s_.world.group.core;
  Require(received_.empty(), "rejected after it was accepted", end.message);
  Require((end.retry_after.count() > 0) == (end.reject_code != v1::REJECT_CODE_INVALID),
          "retry_after does not fit the code", end.message);
  switch (end.reject_code) {
    case v1::REJECT_CODE_INVALID:
      return Require(is_full(), "it is valid", end.message);
    case v1::REJECT_CODE_QUEUE_FULL:
      return Require(core.max_waiting_sequences < core::Config().max_waiting_sequences,
                     "the queue has room");
    case v1::REJECT_CODE_QUOTA:
      return Require(core.max_tenant_sequences > 0, "there is no quota");
    case v1::REJECT_CODE_NO_WORKER:
      return Require(!s_.is_quiet, "there are workers", end.message);
    case v1::REJECT_CODE_DRAINING:
      return Require(!s_.is_quiet && s_.report.num_drains > 0, "nobody drains");
    default:
      return Require(false, "rejected without a reason", end.message);
  }
}

void FaultClient::CheckError(const std::string& message) const {
  if (absl::StrContains(message, "not a number")) {
    return Require(s_.world.model_faults.poisoned_requests.contains(id),
                   "it computes nothing wrong");
  }
  if (absl::StrContains(message, "exceeds")) return Require(is_full(), "it fits", message);
  Require(!s_.is_quiet, "failed though nothing broke", message);
  if (absl::StrContains(message, "no worker has been attached")) {
    const core::Micros usual = scheduler::GroupOptions().no_worker_patience;
    return Require(s_.world.group.no_worker_patience < usual, "given up too soon");
  }
  Require(absl::StrContains(message, "worker") && s_.report.num_faults() >= 2,
          "no two workers can have been lost", message);
}

}  // namespace weft::sim
