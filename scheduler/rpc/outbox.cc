#include "scheduler/rpc/outbox.h"

#include <utility>

#include "common/check.h"

namespace weft::scheduler {
namespace {

// Handle, index and count of an entry; a token id. Varints: at most five bytes.
constexpr size_t kEntryBytes = 15;
constexpr size_t kTokenBytes = 5;

}  // namespace

void Outbox::AddTokens(uint32_t handle, uint32_t first_index, std::span<const TokenId> tokens,
                       std::vector<v1::TokenLogprobs> logprobs) {
  WEFT_CHECK(logprobs.empty() || logprobs.size() == tokens.size());
  auto [it, is_new] = entry_of_handle_.try_emplace(handle, num_entries_);
  if (is_new) {
    if (num_entries_ == entries_.size()) entries_.emplace_back();
    Entry& entry = entries_[num_entries_++];
    entry.handle = handle;
    entry.first_index = first_index;
    num_bytes_ += kEntryBytes;
  }
  Entry& entry = entries_[it->second];
  WEFT_CHECK(entry.first_index + entry.tokens.size() == first_index);
  entry.tokens.insert(entry.tokens.end(), tokens.begin(), tokens.end());
  num_bytes_ += kTokenBytes * tokens.size();
  for (v1::TokenLogprobs& l : logprobs) {
    num_bytes_ += l.ByteSizeLong();
    entry.logprobs.push_back(std::move(l));
  }
}

void Outbox::AddPromptLogprobs(uint32_t handle, v1::PromptLogprobs logprobs) {
  v1::PromptLogprobsPart& part = prompt_logprobs_.emplace_back();
  part.set_handle(handle);
  *part.mutable_logprobs() = std::move(logprobs);
  num_bytes_ += part.ByteSizeLong();
}

void Outbox::AddFinished(v1::Finished finished) {
  num_bytes_ += finished.ByteSizeLong();
  finished_.push_back(std::move(finished));
}

void Outbox::AddRejected(v1::Rejected rejected) {
  num_bytes_ += rejected.ByteSizeLong();
  rejected_.push_back(std::move(rejected));
}

void Outbox::SetWelcome() { welcome_ = true; }

void Outbox::SetLoad(const v1::Load& load) { load_ = load; }

void Outbox::SetNotLeader(std::string address) { next_leader_ = std::move(address); }

bool Outbox::empty() const {
  return num_entries_ == 0 && prompt_logprobs_.empty() && finished_.empty() && rejected_.empty() &&
         !welcome_ && !load_ && !next_leader_;
}

bool Outbox::Take(uint64_t epoch, v1::SchedulerFrame& frame) {
  frame.Clear();
  if (empty()) return false;
  frame.set_epoch(epoch);
  if (welcome_) frame.mutable_welcome();
  if (load_) *frame.mutable_load() = std::move(*load_);
  if (next_leader_) frame.mutable_not_leader()->set_address(std::move(*next_leader_));
  if (num_entries_ > 0) {
    v1::Tokens& proto = *frame.mutable_tokens();
    const int n = static_cast<int>(num_entries_);
    proto.mutable_handles()->Reserve(n);
    proto.mutable_first_indexes()->Reserve(n);
    proto.mutable_counts()->Reserve(n);
    proto.mutable_tokens()->Reserve(n);
    for (size_t i = 0; i < num_entries_; ++i) {
      Entry& entry = entries_[i];
      proto.add_handles(entry.handle);
      proto.add_first_indexes(entry.first_index);
      proto.add_counts(static_cast<uint32_t>(entry.tokens.size()));
      proto.mutable_tokens()->Add(entry.tokens.begin(), entry.tokens.end());
      for (v1::TokenLogprobs& l : entry.logprobs) *proto.add_logprobs() = std::move(l);
    }
  }
  for (v1::PromptLogprobsPart& p : prompt_logprobs_) *frame.add_prompt_logprobs() = std::move(p);
  for (v1::Finished& f : finished_) *frame.add_finished() = std::move(f);
  for (v1::Rejected& r : rejected_) *frame.add_rejected() = std::move(r);
  Clear();
  return true;
}

void Outbox::Clear() {
  for (size_t i = 0; i < num_entries_; ++i) {
    entries_[i].tokens.clear();
    entries_[i].logprobs.clear();
  }
  num_entries_ = 0;
  entry_of_handle_.clear();
  prompt_logprobs_.clear();
  finished_.clear();
  rejected_.clear();
  welcome_ = false;
  load_.reset();
  next_leader_.reset();
  num_bytes_ = 0;
}

}  // namespace weft::scheduler
