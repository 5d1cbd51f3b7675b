#include "gateway/openai/tools.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::Tool;
using gateway::ToolChoice;
using gateway::ToolOptions;

// One kind of object in its two forms: {"type":T,"KEY":{...}} nested, {"type":T,...}
// flat. Calls `read` with the fields behind the type; `wanted` is T.
template <typename Read>
void ReadTyped(Fields& fields, const std::string& name, const json::value& value, ToolForm form,
               std::string_view wanted, const Read& read) {
  const json::object* object = value.if_object();
  const json::value* type = object ? object->if_contains("type") : nullptr;
  if (!type || !type->is_string()) {
    return fields.Fail(name,
                       absl::StrCat("must be an object of type \"", std::string(wanted), "\""));
  }
  if (View(type->get_string()) != wanted) {
    return fields.Fail(name, absl::StrCat("is of type ", Excerpt(View(type->get_string())),
                                          ", but only ", std::string(wanted), " is supported"));
  }
  if (form == ToolForm::kNested) {
    const json::value* inner = object->if_contains({wanted.data(), wanted.size()});
    object = inner ? inner->if_object() : nullptr;
    if (!object) {
      return fields.Fail(absl::StrCat(name, ".", std::string(wanted)), "must be an object");
    }
  }
  std::string path = fields.Path(name) + ".";
  if (form == ToolForm::kNested) path.append(wanted).append(".");
  Fields inner(*object, std::move(path));
  if (form == ToolForm::kFlat) inner.Ignore("type");
  read(inner);
  fields.FailAs(inner.status());
}

// The name of {"type":"function",...}.
std::string ReadFunctionName(Fields& fields, const std::string& name, const json::value& value,
                             ToolForm form) {
  std::string function;
  ReadTyped(fields, name, value, form, "function", [&](Fields& inner) {
    if (!inner.Get("name")) inner.Fail("name", "is missing");
    inner.String("name", function);
  });
  return function;
}

// As chat has it, whichever form it came in: what templates were written for.
std::string Definition(const json::value& tool, ToolForm form) {
  if (form == ToolForm::kNested) return json::serialize(tool);
  json::object function;  // in the client's order: it is part of the prompt
  for (const auto& item : tool.get_object()) {
    if (item.key() != "type") function.insert(item);
  }
  return json::serialize(json::object{{"type", "function"}, {"function", std::move(function)}});
}

void ReadTool(Fields& fields, const std::string& name, const json::value& value, ToolForm form,
              Tool& out) {
  ReadTyped(fields, name, value, form, "function", [&](Fields& inner) {
    if (!inner.Get("name")) inner.Fail("name", "is missing");
    inner.String("name", out.name);
    std::string description;
    inner.String("description", description);
    bool strict = false;  // arguments follow their schema wherever a call is enforced
    inner.Bool("strict", strict);
    if (const json::object* parameters = inner.Object("parameters")) {
      out.parameters = json::serialize(*parameters);
    }
    LogUnknown(inner);
  });
  if (fields.status().ok()) out.definition = Definition(value, form);
}

bool IsAmong(const std::vector<Tool>& tools, const std::string& name) {
  return std::any_of(tools.begin(), tools.end(),
                     [&](const Tool& tool) { return tool.name == name; });
}

// Leaves the tools that {"mode":...,"tools":[...]} allows.
void ReadAllowed(Fields& fields, const json::value& choice, ToolForm form, ToolOptions& out) {
  ReadTyped(fields, "tool_choice", choice, form, "allowed_tools", [&](Fields& inner) {
    std::string mode;
    inner.String("mode", mode);
    if (mode != "auto" && mode != "required") {
      inner.Fail("mode", "must be \"auto\" or \"required\"");
    }
    out.choice = mode == "required" ? ToolChoice::kRequired : ToolChoice::kAuto;
    const json::value* list = inner.Get("tools");
    if (!list || !list->is_array() || list->get_array().empty()) {
      return inner.Fail("tools", "must be an array of at least one tool");
    }
    std::set<std::string> allowed;
    for (size_t i = 0; i < list->get_array().size(); ++i) {
      const std::string name = absl::StrCat("tools[", i, "]");
      const std::string function = ReadFunctionName(inner, name, list->get_array()[i], form);
      if (!inner.status().ok()) return;
      if (!IsAmong(out.tools, function)) {
        return inner.Fail(
            name, absl::StrCat("names ", Excerpt(function), ", which is not among the tools"));
      }
      allowed.insert(function);
    }
    std::erase_if(out.tools, [&](const Tool& tool) { return !allowed.contains(tool.name); });
  });
}

void ReadChoice(Fields& fields, ToolForm form, ToolOptions& out) {
  const json::value* choice = fields.Get("tool_choice");
  if (!choice) return;
  if (const json::string* word = choice->if_string()) {
    if (*word == "none") {
      out.choice = ToolChoice::kNone;
    } else if (*word == "auto") {
      out.choice = ToolChoice::kAuto;
    } else if (*word == "required") {
      out.choice = ToolChoice::kRequired;
    } else {
      return fields.Fail("tool_choice",
                         absl::StrCat("must be \"none\", \"auto\", \"required\" or an object, not ",
                                      Excerpt(View(*word))));
    }
  } else if (const json::object* object = choice->if_object()) {
    const json::value* type = object->if_contains("type");
    const json::string* kind = type ? type->if_string() : nullptr;
    if (kind && *kind == "allowed_tools") return ReadAllowed(fields, *choice, form, out);
    out.choice = ToolChoice::kNamed;
    out.name = ReadFunctionName(fields, "tool_choice", *choice, form);
  } else {
    fields.Fail("tool_choice", absl::StrCat("must be a string or an object, not ",
                                            std::string(KindName(*choice))));
  }
}

}  // namespace

void ReadTools(Fields& fields, ToolForm form, ToolOptions& out) {
  if (const json::value* tools = fields.Get("tools")) {
    const json::array* list = tools->if_array();
    // Responses' clients send an empty list for none.
    if (!list || (list->empty() && form == ToolForm::kNested)) {
      return fields.Fail("tools", "must be an array of at least one tool, or absent");
    }
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string name = absl::StrCat("tools[", i, "]");
      Tool tool;
      ReadTool(fields, name, (*list)[i], form, tool);
      if (!fields.status().ok()) break;
      out.tools.push_back(std::move(tool));
    }
  }
  ReadChoice(fields, form, out);
  fields.Bool("parallel_tool_calls", out.parallel);
}

}  // namespace weft::openai
