#include "gateway/openai/messages.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/error.h"
#include "gateway/openai/json_reader.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

namespace json = boost::json;

void ReadParts(Fields& fields, std::string_view name, const json::array& parts,
               std::initializer_list<std::string_view> types, std::string& out) {
  if (parts.empty()) return fields.Fail(name, "must not be an empty array");
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string place = absl::StrCat(std::string(name), "[", i, "]");
    const json::object* part = parts[i].if_object();
    const json::value* type = part ? part->if_contains("type") : nullptr;
    if (!type || !type->is_string()) {
      return fields.Fail(place, absl::StrCat("must be an object like {\"type\":\"",
                                             std::string(*types.begin()), "\",\"text\":\"...\"}"));
    }
    if (std::find(types.begin(), types.end(), View(type->get_string())) == types.end()) {
      return fields.Fail(place, absl::StrCat("is of type ", Excerpt(View(type->get_string())),
                                             ": this model takes text only"));
    }
    const json::value* text = part->if_contains("text");
    if (!text || !text->is_string()) {
      return fields.Fail(absl::StrCat(place, ".text"), "must be a string");
    }
    if (i > 0) out += '\n';
    out.append(View(text->get_string()));
  }
}

void ReadToolCalls(Fields& message, std::vector<text::ToolCall>& out) {
  const json::value* value = message.Get("tool_calls");
  if (!value) return;
  const json::array* list = value->if_array();
  if (!list) return message.Fail("tool_calls", "must be an array of calls");
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string place = absl::StrCat("tool_calls[", i, "]");
    const json::object* object = (*list)[i].if_object();
    if (!object) return message.Fail(place, "must be an object");
    Fields call(*object, absl::StrCat(message.Path(place), "."));
    text::ToolCall one;
    std::string type = "function";
    call.String("type", type);
    if (type != "function") call.Fail("type", "must be \"function\"");
    call.String("id", one.id);
    if (const json::object* given = call.Object("function")) {
      Fields function(*given, call.Path("function."));
      ReadCall(function, one);
      call.FailAs(function.status());
    } else {
      call.Fail("function", "must be an object with a name and arguments");
    }
    if (!call.status().ok()) return message.FailAs(call.status());
    out.push_back(std::move(one));
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
    ReadToolCalls(message, out.tool_calls);
    for (const char* name : {"function_call", "audio"}) message.Unsupported(name);
  } else if (out.role == "tool") {
    message.String("tool_call_id", out.tool_call_id);
  }
  if (!ReadText(message, "content", {"text"}, out.content) && !is_assistant) {
    message.Fail("content", "must be a string or an array of text parts");
  }
  return message.status();
}

}  // namespace

bool ReadText(Fields& fields, std::string_view name,
              std::initializer_list<std::string_view> part_types, std::string& out) {
  const json::value* value = fields.Get(name);
  if (!value) return false;
  if (const json::string* text = value->if_string()) {
    out = View(*text);
  } else if (const json::array* parts = value->if_array()) {
    ReadParts(fields, name, *parts, part_types, out);
  } else {
    fields.Fail(name, absl::StrCat("must be a string or an array of text parts, not ",
                                   std::string(KindName(*value))));
  }
  return true;
}

void ReadCall(Fields& function, text::ToolCall& out) {
  if (!function.Get("name")) function.Fail("name", "is missing");
  function.String("name", out.name);
  function.String("arguments", out.arguments);
  if (!function.status().ok()) return;
  if (out.arguments.empty()) out.arguments = "{}";
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  json::error_code error;
  const json::value parsed = json::parse(out.arguments, error, {}, options);
  if (error || !parsed.is_object()) {
    function.Fail("arguments", "must be a JSON object, as text");
  }
}

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
