#include "gateway/openai/messages.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/error.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

namespace json = boost::json;

std::string Text(const json::string& text) { return {text.data(), text.size()}; }

void ReadParts(Fields& message, const json::array& parts, std::string& content) {
  if (parts.empty()) return message.Fail("content", "must not be an empty array");
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string name = absl::StrCat("content[", i, "]");
    const json::object* part = parts[i].if_object();
    const json::value* type = part ? part->if_contains("type") : nullptr;
    if (!type || !type->is_string()) {
      return message.Fail(name, "must be an object like {\"type\":\"text\",\"text\":\"...\"}");
    }
    if (type->get_string() != "text") {
      return message.Fail(name, absl::StrCat("is of type ", Excerpt(Text(type->get_string())),
                                             ": this model takes text only"));
    }
    const json::value* text = part->if_contains("text");
    if (!text || !text->is_string()) {
      return message.Fail(absl::StrCat(name, ".text"), "must be a string");
    }
    if (i > 0) content += '\n';
    content.append(text->get_string().data(), text->get_string().size());
  }
}

absl::Status ReadMessage(const json::value& value, const std::string& path,
                         text::ChatMessage& out) {
  const json::object* object = value.if_object();
  if (!object) {
    return ParamError(
        path, absl::StrCat("'", path, "' must be an object, not ", std::string(KindName(value))));
  }
  Fields message(*object, path + ".");
  if (!message.Get("role")) message.Fail("role", "is missing");
  message.String("role", out.role);
  if (out.role == "developer") out.role = "system";
  if (out.role != "system" && out.role != "user" && out.role != "assistant" && out.role != "tool") {
    message.Fail("role", "must be system, developer, user, assistant or tool");
  }
  const bool is_assistant = out.role == "assistant";
  if (is_assistant) {
    message.String("reasoning", out.reasoning_content);
    message.String("reasoning_content", out.reasoning_content);
    for (const char* name : {"tool_calls", "function_call", "audio"}) message.Unsupported(name);
  }
  if (const json::value* content = message.Get("content")) {
    if (const json::string* text = content->if_string()) {
      out.content = Text(*text);
    } else if (const json::array* parts = content->if_array()) {
      ReadParts(message, *parts, out.content);
    } else {
      message.Fail("content", absl::StrCat("must be a string or an array of text parts, not ",
                                           std::string(KindName(*content))));
    }
  } else if (!is_assistant) {
    message.Fail("content", "must be a string or an array of text parts");
  }
  return message.status();
}

}  // namespace

void ReadMessages(Fields& fields, std::vector<text::ChatMessage>& messages) {
  const json::value* value = fields.Get("messages");
  const json::array* list = value ? value->if_array() : nullptr;
  if (!list || list->empty()) {
    return fields.Fail("messages", "must be an array of at least one message");
  }
  messages.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    text::ChatMessage message;
    const absl::Status status =
        ReadMessage((*list)[i], absl::StrCat(fields.Path("messages"), "[", i, "]"), message);
    if (!status.ok()) return fields.FailAs(status);
    messages.push_back(std::move(message));
  }
}

}  // namespace weft::openai
