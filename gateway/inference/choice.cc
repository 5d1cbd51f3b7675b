#include "gateway/inference/choice.h"

#include <algorithm>
#include <utility>

namespace weft::gateway {
namespace {

ReasoningSplitter::Start StartOf(const ChoiceOptions& options) {
  if (!options.split_reasoning) return ReasoningSplitter::Start::kContent;
  if (options.starts_in_reasoning) return ReasoningSplitter::Start::kReasoning;
  return options.split_reasoning->open >= 0 ? ReasoningSplitter::Start::kMayOpen
                                            : ReasoningSplitter::Start::kContent;
}

bool Contains(const std::vector<text::TokenId>& ids, text::TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

Choice::Choice(ChoiceOptions options, std::shared_ptr<const text::Tokenizer> tokenizer)
    : options_(std::move(options)),
      tokenizer_(std::move(tokenizer)),
      decoder_(tokenizer_, options_.skip_special),
      matcher_(options_.stop),
      splitter_(StartOf(options_)) {
  if (options_.tools) tools_.emplace(*options_.tools);
  const auto start = StartOf(options_);
  in_reasoning_ = start == ReasoningSplitter::Start::kReasoning;
  may_open_ = start == ReasoningSplitter::Start::kMayOpen;
}

bool Choice::IsStopToken(text::TokenId id) const {
  return Contains(options_.eos_token_ids, id) || Contains(options_.stop_token_ids, id);
}

void Choice::Push(text::TokenId id, std::optional<TokenLogprob> logprob, Delta& delta) {
  if (stopped() || stop_token_ >= 0) return;
  ++num_tokens_;
  if (options_.return_token_ids) delta.token_ids.push_back(id);
  if (IsStopToken(id)) {
    stop_token_ = id;
    if (!options_.include_stop) return;
  }
  const size_t begin = num_released_ + held_.size();
  decoder_.Push(id, held_);
  const size_t end = num_released_ + held_.size();
  pending_tokens_.push_back({.begin = begin, .end = end, .logprob = std::move(logprob)});
  NoteTag(id, begin, end);

  const std::string_view text = std::string_view(held_).substr(begin - num_released_);
  if (num_tokens_ <= options_.min_tokens) {
    matcher_.Skip(text);
  } else if (stop_token_ < 0) {
    if (auto match = matcher_.Scan(text)) {
      const size_t kept = options_.include_stop ? match->end : match->begin;
      stop_string_ = held_.substr(match->begin - num_released_, match->end - match->begin);
      held_.resize(kept - num_released_);
      while (!pending_tokens_.empty() && pending_tokens_.back().begin >= kept) {
        pending_tokens_.pop_back();
      }
      Release(kept, delta);
      ReleaseTokens(end, delta);
      return;
    }
  }
  Release(stop_token_ < 0 ? matcher_.safe_end() : end, delta);
}

// Follows the reasoning as the tokens tell it. A tag that changes nothing is text.
void Choice::NoteTag(text::TokenId id, size_t begin, size_t end) {
  const bool is_tag = options_.split_reasoning && (id == options_.split_reasoning->open ||
                                                   id == options_.split_reasoning->close);
  std::string_view before = std::string_view(held_).substr(begin - num_released_);
  // Behind an unfinished character, a tag's name is only the end of the token's
  // text; a special one may be skipped.
  size_t name = 0;
  if (is_tag && before.ends_with(tokenizer_->TokenBytes(id))) {
    name = tokenizer_->TokenBytes(id).size();
    before.remove_suffix(name);
  }
  if (before.find_first_not_of(" \t\r\n") != std::string_view::npos) may_open_ = false;

  const bool opens = may_open_ && id == options_.split_reasoning->open;
  const bool closes = in_reasoning_ && id == options_.split_reasoning->close;
  if (opens || closes) {
    tags_.push_back({.begin = end - name, .end = end, .opens = opens});
    in_reasoning_ = opens;
    may_open_ = false;
  } else {
    if (is_tag) may_open_ = false;
    if (in_reasoning_) ++num_reasoning_tokens_;
  }
}

// Hands on the raw text up to `end`, cut at the tags; a tag only as a whole.
void Choice::Release(size_t end, Delta& delta) {
  const auto text = [this](size_t from, size_t to) {
    return std::string_view(held_).substr(from - num_released_, to - from);
  };
  Delta split;
  Delta& out = tools_ ? split : delta;
  size_t at = num_released_;
  while (!tags_.empty() && tags_.front().begin <= end) {
    const Tag tag = tags_.front();
    splitter_.Text(text(at, tag.begin), out);
    at = tag.begin;
    if (tag.end > end) break;
    tag.opens ? splitter_.Open() : splitter_.Close();
    at = tag.end;
    tags_.pop_front();
  }
  const bool inside_tag = !tags_.empty() && tags_.front().begin <= end;
  if (!inside_tag) {
    splitter_.Text(text(at, end), out);
    at = end;
  }
  if (tools_) Pass(split, delta);
  held_.erase(0, at - num_released_);
  num_released_ = at;
  ReleaseTokens(at, delta);
}

void Choice::ReleaseTokens(size_t end, Delta& delta) {
  while (!pending_tokens_.empty() && pending_tokens_.front().end <= end) {
    ++delta.num_tokens;
    if (auto& logprob = pending_tokens_.front().logprob) {
      delta.logprobs.push_back(std::move(*logprob));
    }
    pending_tokens_.pop_front();
  }
}

void Choice::Pass(Delta& split, Delta& delta) {
  delta.reasoning += split.reasoning;
  tools_->Text(split.content, delta);
}

ChoiceFinished Choice::Finish(FinishReason reason, Delta& delta) {
  ChoiceFinished finished{.index = options_.index, .reason = reason};
  if (stopped()) {
    finished.reason = FinishReason::kStop;
    finished.stop_string = stop_string_;
  } else {
    decoder_.Finish(held_);
    Release(num_released_ + held_.size(), delta);
    if (stop_token_ >= 0) finished.reason = FinishReason::kStop;
    if (!Contains(options_.eos_token_ids, stop_token_)) finished.stop_token = stop_token_;
  }
  if (!tools_) {
    splitter_.Finish(delta);
    return finished;
  }
  Delta split;
  splitter_.Finish(split);
  Pass(split, delta);
  tools_->Finish(delta);
  if (finished.reason == FinishReason::kStop && tools_->num_calls() > 0) {
    finished.reason = FinishReason::kToolCalls;
  }
  return finished;
}

}  // namespace weft::gateway
