#include "gateway/inference/tool_parser.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <random>
#include <span>
#include <utility>

namespace weft::gateway {
namespace {

namespace json = boost::json;

constexpr std::string_view kWhiteSpace = " \t\r\n";

constexpr std::string_view kHermesOpen = "<tool_call>";
constexpr std::string_view kHermesClose[] = {"</tool_call>"};
constexpr std::string_view kCallsBegin = "<｜tool▁calls▁begin｜>";
constexpr std::string_view kCallBegin = "<｜tool▁call▁begin｜>";
constexpr std::string_view kSeparator = "<｜tool▁sep｜>";
constexpr std::string_view kFence = "```json";
constexpr std::string_view kDeepSeekClose[] = {"```", "<｜tool▁call▁end｜>",
                                               "<｜tool▁calls▁end｜>"};
constexpr std::string_view kOpenings[] = {kHermesOpen, kCallsBegin, kCallBegin};

// A call's type, and its function's name: what is longer is none.
constexpr size_t kMaxHead = 256;

// The longest end of `text` that may become one of the tags.
size_t HeldBack(std::string_view text, std::span<const std::string_view> tags) {
  size_t held = 0;
  for (const std::string_view tag : tags) {
    for (size_t n = std::min(tag.size() - 1, text.size()); n > held; --n) {
      if (text.ends_with(tag.substr(0, n))) {
        held = n;
        break;
      }
    }
  }
  return held;
}

bool IsBeginningOf(std::string_view text, std::string_view tag) { return tag.starts_with(text); }

size_t SkipBlank(std::string_view text) {
  return std::min(text.find_first_not_of(kWhiteSpace), text.size());
}

// A JSON string's text.
std::optional<std::string> Unquote(std::string_view quoted) {
  boost::system::error_code error;
  const json::value value = json::parse(quoted, error);
  if (error || !value.is_string()) return std::nullopt;
  return std::string(value.get_string());
}

std::string NewCallId() {
  constexpr std::string_view kAlphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device()()};
  std::uniform_int_distribution<size_t> pick(0, kAlphabet.size() - 1);
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kAlphabet[pick(random)];
  return id;
}

}  // namespace

ToolParser::ToolParser(ToolParserOptions options) : options_(std::move(options)) {}

void ToolParser::Text(std::string_view text, Delta& delta) {
  if (is_done()) return;
  text_ += text;
  while (Step(delta, /*is_last=*/false)) {
  }
}

void ToolParser::Finish(Delta& delta) {
  if (is_done()) return;
  while (Step(delta, /*is_last=*/true)) {
  }
  if (!is_behind_call_) delta.content += std::exchange(blank_, {});
}

bool ToolParser::Step(Delta& delta, bool is_last) {
  switch (state_) {
    case State::kContent:
      return Content(delta, is_last);
    case State::kHermes:
      return Hermes(delta, is_last);
    case State::kDeepSeekHead:
      return DeepSeekHead(delta, is_last);
    case State::kDeepSeekArguments:
      return DeepSeekArguments(delta);
    case State::kClosing:
      return Closing(is_last);
  }
  return false;
}

bool ToolParser::Content(Delta& delta, bool is_last) {
  size_t at = std::string::npos;
  std::string_view opening;
  for (const std::string_view tag : kOpenings) {
    const size_t found = text_.find(tag);
    if (found < at) {
      at = found;
      opening = tag;
    }
  }
  if (opening.empty()) {
    const size_t safe = text_.size() - (is_last ? 0 : HeldBack(text_, kOpenings));
    Say(std::string_view(text_).substr(0, safe), delta);
    text_.erase(0, safe);
    return false;
  }
  Say(std::string_view(text_).substr(0, at), delta);
  text_.erase(0, at + opening.size());
  tag_ = std::exchange(blank_, {}) + std::string(opening);
  members_ = {};
  is_named_ = false;
  num_argued_ = 0;
  state_ = opening == kHermesOpen ? State::kHermes : State::kDeepSeekHead;
  return true;
}

bool ToolParser::Hermes(Delta& delta, bool is_last) {
  const JsonMembers::Status status = members_.Scan(text_);
  const auto text_of = [this](size_t begin, size_t end) {
    return std::string_view(text_).substr(begin, end - begin);
  };
  const JsonMembers::Member* arguments = nullptr;
  for (const JsonMembers::Member& member : members_.members()) {
    if (member.begin == 0) continue;  // its value has not begun
    const std::string_view key = text_of(member.key_begin, member.key_end);
    if (arguments == nullptr && (key == "\"arguments\"" || key == "\"parameters\"")) {
      arguments = &member;
    }
    if (is_named_ || key != "\"name\"" || member.end == std::string::npos) continue;
    const auto name = Unquote(text_of(member.begin, member.end));
    if (!name || !Knows(*name)) return GiveBack(delta);
    Begin(*name, delta);
  }
  if (!is_named_) {
    if (status == JsonMembers::Status::kOpen && !is_last) return false;
    return GiveBack(delta);
  }
  if (arguments != nullptr) {
    const size_t end = std::min(arguments->end, members_.size());
    const std::string_view value = text_of(arguments->begin, end);
    if (value.starts_with('{')) {
      Argue(value.substr(num_argued_), delta);
    } else if (value.starts_with('"') && arguments->end != std::string::npos && num_argued_ == 0) {
      Argue(Unquote(value).value_or(""), delta);  // some models quote the object
    }
  }
  if (status == JsonMembers::Status::kOpen) return false;
  return End(delta);
}

bool ToolParser::DeepSeekHead(Delta& delta, bool is_last) {
  std::string_view rest = text_;
  rest.remove_prefix(SkipBlank(rest));
  if (rest.starts_with(kCallBegin)) rest.remove_prefix(kCallBegin.size());
  const size_t separator = rest.find(kSeparator);
  const size_t name_begin = separator + kSeparator.size();
  const size_t line_end =
      separator == rest.npos ? rest.npos : rest.find('\n', std::min(name_begin, rest.size()));
  if (line_end == rest.npos || line_end > kMaxHead) {
    return is_last || rest.size() > kMaxHead ? GiveBack(delta) : false;
  }
  const std::string name(rest.substr(name_begin, line_end - name_begin));
  rest.remove_prefix(line_end + 1);
  if (!rest.starts_with(kFence)) {
    return is_last || !IsBeginningOf(rest, kFence) ? GiveBack(delta) : false;
  }
  if (!Knows(name)) return GiveBack(delta);
  rest.remove_prefix(kFence.size());
  text_ = std::string(rest);
  Begin(name, delta);
  state_ = State::kDeepSeekArguments;
  return true;
}

bool ToolParser::DeepSeekArguments(Delta& delta) {
  const JsonMembers::Status status = members_.Scan(text_);
  const std::string_view taken = std::string_view(text_).substr(0, members_.size());
  const size_t begin = SkipBlank(taken);
  Argue(taken.substr(std::min(begin + num_argued_, taken.size())), delta);
  if (status == JsonMembers::Status::kOpen) return false;
  return End(delta);
}

bool ToolParser::Closing(bool is_last) {
  const std::span<const std::string_view> closers =
      is_deepseek_ ? std::span<const std::string_view>(kDeepSeekClose) : kHermesClose;
  const size_t blank = SkipBlank(text_);
  const std::string_view rest = std::string_view(text_).substr(blank);
  for (const std::string_view tag : closers) {
    if (rest.starts_with(tag)) {
      text_.erase(0, blank + tag.size());
      return true;
    }
  }
  const bool may_close = std::any_of(closers.begin(), closers.end(), [&](std::string_view tag) {
    return IsBeginningOf(rest, tag);
  });
  if (may_close && !is_last) return false;
  state_ = State::kContent;
  return true;
}

void ToolParser::Say(std::string_view content, Delta& delta) {
  const size_t last = content.find_last_not_of(kWhiteSpace);
  if (last == content.npos) {
    blank_ += content;
    return;
  }
  delta.content += blank_;
  delta.content += content.substr(0, last + 1);
  blank_ = content.substr(last + 1);
  is_behind_call_ = false;
}

void ToolParser::Begin(std::string name, Delta& delta) {
  is_named_ = true;
  is_deepseek_ = state_ == State::kDeepSeekHead;
  delta.tool_calls.push_back({.call = num_calls_++, .id = NewCallId(), .name = std::move(name)});
}

void ToolParser::Argue(std::string_view arguments, Delta& delta) {
  if (arguments.empty()) return;
  num_argued_ += arguments.size();
  const int call = num_calls_ - 1;
  if (delta.tool_calls.empty() || delta.tool_calls.back().call != call) {
    delta.tool_calls.push_back({.call = call});
  }
  delta.tool_calls.back().arguments += arguments;
}

// The call's object has come to its end, or broke; what follows is closing tags or
// content.
bool ToolParser::End(Delta& delta) {
  if (num_argued_ == 0) Argue("{}", delta);
  ++num_closed_;
  is_behind_call_ = true;
  text_.erase(0, members_.size());
  state_ = State::kClosing;
  return !is_done();
}

bool ToolParser::GiveBack(Delta& delta) {
  Say(std::exchange(tag_, {}), delta);
  state_ = State::kContent;
  return true;
}

bool ToolParser::Knows(std::string_view name) const {
  return std::find(options_.functions.begin(), options_.functions.end(), name) !=
         options_.functions.end();
}

}  // namespace weft::gateway
