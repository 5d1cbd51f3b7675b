// Reads the server-sent events of a chat answer: what it says, in the order in which it comes.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace weft::chat {

enum class Part { kReasoning, kContent };

class AnswerReader {
 public:
  using OnText = std::function<void(Part, std::string_view)>;
  explicit AnswerReader(OnText on_text) : on_text_(std::move(on_text)) {}

  // Bytes as they come, cut anywhere.
  void Feed(std::string_view bytes);

  // So far:
  bool is_done() const { return is_done_; }  // [DONE] has come: the answer is whole
  const std::string& finish_reason() const { return finish_reason_; }
  const std::string& error() const { return error_; }  // an event's message; empty: none

 private:
  void ReadLine(std::string_view line);
  void ReadEvent(std::string_view payload);

  OnText on_text_;
  std::string partial_;  // a line whose end has not come
  bool is_done_ = false;
  std::string finish_reason_;
  std::string error_;
};

}  // namespace weft::chat
