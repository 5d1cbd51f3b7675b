#include "gateway/openai/input_items.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/json_writer.h"
#include "gateway/openai/messages.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using text::ChatMessage;

// The assistant's turn that the last item was part of, or a new one.
ChatMessage& AssistantTurn(std::vector<ChatMessage>& messages, bool is_new) {
  if (is_new || messages.empty() || messages.back().role != "assistant") {
    messages.push_back({});
    messages.back().role = "assistant";
  }
  return messages.back();
}

// Nothing stands behind reasoning in a turn but text, and behind text but calls.
bool HasText(const std::vector<ChatMessage>& messages) {
  return !messages.empty() &&
         (!messages.back().content.empty() || !messages.back().tool_calls.empty());
}

void ReadMessageItem(Fields& item, std::vector<ChatMessage>& messages) {
  ChatMessage message;
  if (!item.Get("role")) item.Fail("role", "is missing");
  item.String("role", message.role);
  if (message.role == "developer") message.role = "system";
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    item.Fail("role", "must be system, developer, user or assistant");
  }
  if (!ReadText(item, "content", {"input_text", "output_text", "text"}, message.content)) {
    item.Fail("content", "must be a string or an array of text parts");
  }
  if (message.role == "assistant") {
    AssistantTurn(messages, HasText(messages)).content = std::move(message.content);
  } else {
    messages.push_back(std::move(message));
  }
}

void ReadReasoningItem(Fields& item, std::vector<ChatMessage>& messages) {
  std::string reasoning;
  const json::value* content = item.Get("content");
  if (content && !(content->is_array() && content->get_array().empty())) {
    ReadText(item, "content", {"reasoning_text"}, reasoning);
  }
  std::string& all = AssistantTurn(messages, HasText(messages)).reasoning_content;
  if (!all.empty()) all += '\n';
  all += reasoning;
}

void ReadCallItem(Fields& item, std::vector<ChatMessage>& messages) {
  text::ToolCall call;
  item.String("call_id", call.id);
  ReadCall(item, call);
  AssistantTurn(messages, /*is_new=*/false).tool_calls.push_back(std::move(call));
}

void ReadOutputItem(Fields& item, std::vector<ChatMessage>& messages) {
  ChatMessage message;
  message.role = "tool";
  item.String("call_id", message.tool_call_id);
  if (!ReadText(item, "output", {"input_text", "output_text", "text"}, message.content)) {
    item.Fail("output", "must be a string or an array of text parts");
  }
  messages.push_back(std::move(message));
}

void ReadItem(Fields& item, std::vector<ChatMessage>& messages) {
  std::string type = "message";
  item.String("type", type);
  if (type == "message") return ReadMessageItem(item, messages);
  if (type == "reasoning") return ReadReasoningItem(item, messages);
  if (type == "function_call") return ReadCallItem(item, messages);
  if (type == "function_call_output") return ReadOutputItem(item, messages);
  if (type == "item_reference") {
    return item.Fail("type", "refers to a stored item: this server stores none");
  }
  item.Fail("type", absl::StrCat("is ", Excerpt(type),
                                 ", but must be message, reasoning, function_call or "
                                 "function_call_output"));
}

}  // namespace

void ReadInput(Fields& fields, std::vector<ChatMessage>& messages) {
  const json::value* value = fields.Get("input");
  if (!value) return fields.Fail("input", "is missing");
  if (const json::string* text = value->if_string()) {
    messages.push_back({});
    messages.back().role = "user";
    messages.back().content = View(*text);
    return;
  }
  const json::array* list = value->if_array();
  if (!list || list->empty()) {
    return fields.Fail("input", "must be a string or an array of at least one item");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string place = absl::StrCat("input[", i, "]");
    const json::object* object = (*list)[i].if_object();
    if (!object) {
      return fields.Fail(
          place, absl::StrCat("must be an object, not ", std::string(KindName((*list)[i]))));
    }
    Fields item(*object, absl::StrCat(fields.Path(place), "."));
    ReadItem(item, messages);
    if (!item.status().ok()) return fields.FailAs(item.status());
  }
}

}  // namespace weft::openai
