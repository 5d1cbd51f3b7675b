#include "gateway/inference/reasoning.h"

#include "common/check.h"

namespace weft::gateway {
namespace {

constexpr std::string_view kLineBreaks = "\r\n";
constexpr std::string_view kWhiteSpace = " \t\r\n";

}  // namespace

ReasoningSplitter::ReasoningSplitter(Start start)
    : state_(start == Start::kReasoning ? State::kOpened
             : start == Start::kMayOpen ? State::kStart
                                        : State::kContent) {}

void ReasoningSplitter::Text(std::string_view text, Delta& delta) {
  switch (state_) {
    case State::kStart:
      held_ += text;
      if (text.find_first_not_of(kWhiteSpace) == std::string_view::npos) return;
      delta.content += held_;
      held_.clear();
      state_ = State::kContent;
      return;
    case State::kOpened:
    case State::kClosed: {
      const size_t first = text.find_first_not_of(kLineBreaks);
      if (first == std::string_view::npos) return;
      state_ = state_ == State::kOpened ? State::kReasoning : State::kContent;
      return Text(text.substr(first), delta);
    }
    case State::kReasoning: {
      const size_t last = text.find_last_not_of(kLineBreaks);
      if (last == std::string_view::npos) {
        held_ += text;
        return;
      }
      delta.reasoning += held_;
      delta.reasoning += text.substr(0, last + 1);
      held_ = text.substr(last + 1);
      return;
    }
    case State::kContent:
      delta.content += text;
      return;
  }
}

void ReasoningSplitter::Open() {
  WEFT_CHECK(state_ == State::kStart);
  held_.clear();
  state_ = State::kOpened;
}

void ReasoningSplitter::Close() {
  WEFT_CHECK(state_ == State::kOpened || state_ == State::kReasoning);
  held_.clear();
  state_ = State::kClosed;
}

void ReasoningSplitter::Finish(Delta& delta) {
  (state_ == State::kReasoning ? delta.reasoning : delta.content) += held_;
  held_.clear();
}

}  // namespace weft::gateway
