#include "gateway/inference/json_members.h"

#include <utility>

namespace weft::gateway {
namespace {

// No arguments are nested deeper, and readers give up soon after.
constexpr size_t kMaxDepth = 256;

bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

JsonMembers::Status JsonMembers::Scan(std::string_view text) {
  while (at_ < text.size() && state_ != State::kComplete && state_ != State::kBroken) {
    state_ = Next(text[at_]);
    if (state_ != State::kBroken) ++at_;
  }
  if (state_ == State::kComplete) return Status::kComplete;
  return state_ == State::kBroken ? Status::kBroken : Status::kOpen;
}

JsonMembers::State JsonMembers::Next(char c) {
  switch (state_) {
    case State::kBefore:
      return IsBlank(c) ? state_ : c == '{' ? State::kFirstKey : State::kBroken;
    case State::kFirstKey:
      if (c == '}') return State::kComplete;
      [[fallthrough]];
    case State::kKey:
      if (IsBlank(c)) return state_;
      if (c != '"') return State::kBroken;
      members_.push_back({.key_begin = at_});
      return State::kInKey;
    case State::kInKey:
      if (!EndsString(c)) return state_;
      members_.back().key_end = at_ + 1;
      return State::kColon;
    case State::kColon:
      return IsBlank(c) ? state_ : c == ':' ? State::kValue : State::kBroken;
    case State::kValue:
      return IsBlank(c) ? state_ : BeginValue(c);
    case State::kInString:
      if (!EndsString(c)) return state_;
      members_.back().end = at_ + 1;
      return State::kBehindValue;
    case State::kInNested:
      return Nested(c);
    case State::kInScalar:
      if (!IsBlank(c) && c != ',' && c != '}') return state_;
      members_.back().end = at_;
      [[fallthrough]];
    case State::kBehindValue:
      return BehindValue(c);
    case State::kComplete:
    case State::kBroken:
      break;
  }
  return state_;
}

bool JsonMembers::EndsString(char c) {
  const bool was_escaped = std::exchange(is_escaped_, false);
  if (was_escaped) return false;
  is_escaped_ = c == '\\';
  return c == '"';
}

JsonMembers::State JsonMembers::BeginValue(char c) {
  members_.back().begin = at_;
  if (c == '"') return State::kInString;
  if (c == '{' || c == '[') {
    closers_ = c == '{' ? '}' : ']';
    return State::kInNested;
  }
  const bool is_scalar = c == '-' || c == 't' || c == 'f' || c == 'n' || (c >= '0' && c <= '9');
  return is_scalar ? State::kInScalar : State::kBroken;
}

JsonMembers::State JsonMembers::Nested(char c) {
  if (in_nested_string_) {
    in_nested_string_ = !EndsString(c);
    return state_;
  }
  if (c == '"') {
    in_nested_string_ = true;
  } else if (c == '{' || c == '[') {
    if (closers_.size() == kMaxDepth) return State::kBroken;
    closers_ += c == '{' ? '}' : ']';
  } else if (c == '}' || c == ']') {
    if (closers_.back() != c) return State::kBroken;
    closers_.pop_back();
    if (closers_.empty()) {
      members_.back().end = at_ + 1;
      return State::kBehindValue;
    }
  }
  return state_;
}

JsonMembers::State JsonMembers::BehindValue(char c) {
  if (IsBlank(c)) return State::kBehindValue;
  if (c == ',') return State::kKey;
  return c == '}' ? State::kComplete : State::kBroken;
}

}  // namespace weft::gateway
