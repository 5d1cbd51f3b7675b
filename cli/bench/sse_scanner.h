// Reads an answer's server-sent events for what is counted: events with text, the
// end, usage, errors. A token's event is searched for three keys and not parsed.
//
// That is exact. Within a JSON string a quote is escaped, so `"text":` with its two
// bare quotes and the colon stands only where "text" is a key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::bench {

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

class SseScanner {
 public:
  // `keeps_text`: each event is parsed as well, for text().
  explicit SseScanner(bool keeps_text = false) : keeps_text_(keeps_text) {}

  // Bytes as they come, cut anywhere.
  void Feed(std::string_view bytes);
  // For another answer.
  void Reset();

  // So far:
  int num_events() const { return num_events_; }  // of every kind
  // Some text, reasoning included, or a tool's call; a role alone is none.
  int num_text_events() const { return num_text_events_; }
  bool has_finish() const { return has_finish_; }               // a finish_reason has come
  bool is_done() const { return is_done_; }                     // [DONE] has come
  const std::optional<Usage>& usage() const { return usage_; }  // the latest
  const std::string& error() const { return error_; }           // an event's message; empty: none
  const std::string& text() const { return text_; }  // if it is kept; a chat's with its reasoning

 private:
  void ReadLine(std::string_view line);
  void ReadPayload(std::string_view payload);

  bool keeps_text_;
  std::string partial_;  // a line whose end has not come
  int num_events_ = 0;
  int num_text_events_ = 0;
  bool has_finish_ = false;
  bool is_done_ = false;
  std::optional<Usage> usage_;
  std::string error_;
  std::string text_;
};

// What an error's JSON says: {"error":{"message":"..."}} and its variants; the text
// itself where it is no such JSON.
std::string ErrorMessage(std::string_view body);

}  // namespace weft::bench
