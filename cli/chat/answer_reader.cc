#include "cli/chat/answer_reader.h"

#include <boost/json.hpp>

#include "cli/bench/sse_scanner.h"

namespace weft::chat {
namespace {

namespace json = boost::json;

std::string_view TextAt(const json::value& event, const char* pointer) {
  boost::system::error_code error;
  const json::value* const text = event.find_pointer(pointer, error);
  if (text == nullptr || !text->is_string()) return {};
  return {text->get_string().data(), text->get_string().size()};
}

}  // namespace

void AnswerReader::Feed(std::string_view bytes) {
  partial_ += bytes;
  size_t begin = 0;
  for (size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ReadLine(std::string_view(partial_).substr(begin, end - begin));
  }
  partial_.erase(0, begin);
}

void AnswerReader::ReadLine(std::string_view line) {
  constexpr std::string_view kField = "data:";
  if (!line.starts_with(kField)) return;  // an empty line, a comment, another field
  line.remove_prefix(kField.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line == "[DONE]") {
    is_done_ = true;
  } else {
    ReadEvent(line);
  }
}

void AnswerReader::ReadEvent(std::string_view payload) {
  boost::system::error_code failure;
  const json::value event = json::parse({payload.data(), payload.size()}, failure);
  if (failure || !event.is_object()) {
    error_ = "an event is no JSON object";
    return;
  }
  if (const json::value* error = event.get_object().if_contains("error");
      error != nullptr && !error->is_null()) {
    error_ = bench::ErrorMessage(payload);
    return;
  }
  for (const char* name : {"/choices/0/delta/reasoning_content", "/choices/0/delta/reasoning"}) {
    if (const std::string_view text = TextAt(event, name); !text.empty()) {
      on_text_(Part::kReasoning, text);
      break;  // some servers say it under both names
    }
  }
  if (const std::string_view text = TextAt(event, "/choices/0/delta/content"); !text.empty()) {
    on_text_(Part::kContent, text);
  }
  if (const std::string_view reason = TextAt(event, "/choices/0/finish_reason"); !reason.empty()) {
    finish_reason_ = reason;
  }
}

}  // namespace weft::chat
