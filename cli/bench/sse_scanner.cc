#include "cli/bench/sse_scanner.h"

#include <string.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "absl/strings/ascii.h"

namespace weft::bench {
namespace {

namespace json = boost::json;

// The text behind the first `key` (as `"text":`) at or after `from`, blanks left
// out; empty if there is none.
std::string_view ValueBehind(std::string_view payload, std::string_view key, size_t from = 0) {
  const void* const found =
      memmem(payload.data() + from, payload.size() - from, key.data(), key.size());
  if (found == nullptr) return {};
  payload.remove_prefix(static_cast<const char*>(found) - payload.data() + key.size());
  while (!payload.empty() && payload.front() == ' ') payload.remove_prefix(1);
  return payload;
}

// The key may stand for something else too: "content" is also a list of logprobs.
bool HasText(std::string_view payload, std::string_view key) {
  while (true) {
    payload = ValueBehind(payload, key);
    if (payload.size() < 2) return false;
    if (payload[0] == '"' && payload[1] != '"') return true;
  }
}

std::optional<Usage> ReadUsage(std::string_view payload) {
  boost::system::error_code error;
  const json::value value = json::parse({payload.data(), payload.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::value* const usage = value.get_object().if_contains("usage");
  if (usage == nullptr || !usage->is_object()) return std::nullopt;
  const auto read = [&](const char* name) -> int64_t {
    const json::value* const number = usage->get_object().if_contains(name);
    return number != nullptr && number->is_int64() ? number->get_int64() : 0;
  };
  return Usage{.prompt_tokens = read("prompt_tokens"),
               .completion_tokens = read("completion_tokens")};
}

// {"choices":[{"text":"..."}]}, or a delta's content or reasoning under either name.
std::string AnswerText(std::string_view payload) {
  boost::system::error_code error;
  const json::value value = json::parse({payload.data(), payload.size()}, error);
  if (error) return {};
  for (const char* place : {"/choices/0/text", "/choices/0/delta/content",
                            "/choices/0/delta/reasoning_content", "/choices/0/delta/reasoning"}) {
    const json::value* const text = value.find_pointer(place, error);
    if (text == nullptr || !text->is_string() || text->get_string().empty()) continue;
    return {text->get_string().data(), text->get_string().size()};
  }
  return {};
}

}  // namespace

void SseScanner::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      partial_ += bytes;
      return;
    }
    if (partial_.empty()) {
      ReadLine(bytes.substr(0, end));
    } else {
      partial_ += bytes.substr(0, end);
      ReadLine(partial_);
      partial_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void SseScanner::Reset() { *this = SseScanner(keeps_text_); }

void SseScanner::ReadLine(std::string_view line) {
  constexpr std::string_view kField = "data:";
  if (!line.starts_with(kField)) return;  // an empty line, a comment, another field
  line.remove_prefix(kField.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  ReadPayload(line);
}

void SseScanner::ReadPayload(std::string_view payload) {
  ++num_events_;
  if (payload == "[DONE]") {
    is_done_ = true;
    return;
  }
  const bool has_text = HasText(payload, "\"text\":") || HasText(payload, "\"content\":") ||
                        HasText(payload, "\"reasoning_content\":") ||
                        HasText(payload, "\"reasoning\":") ||
                        ValueBehind(payload, "\"tool_calls\":").starts_with("[{");
  num_text_events_ += has_text;
  if (has_text && keeps_text_) text_ += AnswerText(payload);
  if (ValueBehind(payload, "\"finish_reason\":").starts_with('"')) has_finish_ = true;
  if (ValueBehind(payload, "\"usage\":").starts_with('{')) {
    if (std::optional<Usage> usage = ReadUsage(payload)) usage_ = usage;
  }
  if (has_text) return;
  const std::string_view error = ValueBehind(payload, "\"error\":");
  if (error.starts_with('{') || error.starts_with('"') ||
      payload.starts_with("{\"object\":\"error\"")) {
    error_ = ErrorMessage(payload);
  }
}

std::string ErrorMessage(std::string_view body) {
  constexpr size_t kMaxShown = 300;
  boost::system::error_code failure;
  const json::value value = json::parse({body.data(), body.size()}, failure);
  const json::value* found = failure ? nullptr : &value;
  for (const char* name : {"error", "message", "detail"}) {
    if (found == nullptr || !found->is_object()) break;
    if (const json::value* inner = found->get_object().if_contains(name)) found = inner;
  }
  std::string message(body);
  absl::StripAsciiWhitespace(&message);
  if (found != nullptr && found->is_string()) {
    message.assign(found->get_string().data(), found->get_string().size());
  }
  for (char& c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  if (message.size() > kMaxShown) message = message.substr(0, kMaxShown) + "...";
  return message.empty() ? "(no message)" : message;
}

}  // namespace weft::bench
