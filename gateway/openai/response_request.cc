#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/input_items.h"
#include "gateway/openai/json_writer.h"
#include "gateway/openai/request_body.h"
#include "gateway/openai/structured.h"
#include "gateway/openai/tools.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::ChatPrompt;

constexpr std::string_view kLogprobs = "message.output_text.logprobs";

// What is called otherwise here, or has no place.
void RefuseChatsNames(Fields& fields) {
  if (fields.Get("response_format")) fields.Fail("response_format", "is called text.format here");
  if (fields.Get("max_tokens")) fields.Fail("max_tokens", "is called max_output_tokens here");
  if (fields.Get("messages")) fields.Fail("messages", "is called input here");
  fields.Unsupported("structured_outputs");
  std::optional<int64_t> n;
  fields.Int("n", n);
  if (n.value_or(1) != 1) fields.Fail("n", "must be 1: a response is one answer");
}

// What needs a memory that this server has not.
void RefuseState(Fields& fields) {
  if (fields.Get("previous_response_id")) {
    fields.Fail("previous_response_id",
                "cannot be followed: this server stores no responses. Send the earlier items in "
                "'input'");
  }
  if (fields.Get("conversation")) {
    fields.Fail("conversation",
                "is not supported: this server stores nothing. Send the earlier items in 'input'");
  }
  bool background = false;
  fields.Bool("background", background);
  if (background) {
    fields.Fail("background", "must be false: this server stores no responses to come back for");
  }
  fields.Unsupported("prompt");
  std::string truncation = "disabled";
  fields.String("truncation", truncation);
  if (truncation != "disabled") {
    fields.Fail("truncation", "must be \"disabled\": nothing is left out of the input");
  }
}

void CheckMetadata(Fields& fields) {
  const json::object* metadata = fields.Object("metadata");
  if (!metadata) return;
  for (const auto& item : *metadata) {
    if (!item.value().is_string()) return fields.Fail("metadata", "must map names to strings");
  }
}

void ReadInstructions(Fields& fields, ChatPrompt& prompt) {
  std::string instructions;
  fields.String("instructions", instructions);
  if (instructions.empty()) return;
  prompt.messages.push_back({});
  prompt.messages.back().role = "system";
  prompt.messages.back().content = std::move(instructions);
}

void ReadReasoning(Fields& fields, ChatPrompt& prompt) {
  const json::object* object = fields.Object("reasoning");
  if (!object) return;
  Fields reasoning(*object, "reasoning.");
  reasoning.String("effort", prompt.reasoning_effort);
  // Reasoning is told whole, so there is no summary of it.
  for (const char* name : {"summary", "generate_summary"}) reasoning.Ignore(name);
  LogUnknown(reasoning);
  fields.FailAs(reasoning.status());
}

void ReadText(Fields& fields, std::optional<gateway::Grammar>& grammar) {
  const json::object* object = fields.Object("text");
  if (!object) return;
  Fields text(*object, "text.");
  ReadFormat(text, "format", /*is_nested=*/false, grammar);
  text.Ignore("verbosity");
  LogUnknown(text);
  fields.FailAs(text.status());
}

void ReadLogprobs(Fields& fields, gateway::GenerationOptions& options) {
  std::vector<std::string> include;
  fields.StringOrStrings("include", include);
  std::optional<int64_t> top_logprobs;
  fields.Int("top_logprobs", top_logprobs);
  if (std::find(include.begin(), include.end(), kLogprobs) != include.end()) {
    options.logprobs = top_logprobs.value_or(0);
  } else if (top_logprobs.value_or(0) != 0) {
    fields.Fail("top_logprobs", absl::StrCat("needs include: [\"", std::string(kLogprobs), "\"]"));
  }
}

// The tools as the published schema wants them repeated: every member is there.
json::array RepeatedTools(const Fields& fields, const json::value* tools) {
  json::array repeated;
  if (!tools || !fields.status().ok()) return repeated;
  for (const json::value& tool : tools->get_array()) {
    const json::object& given = tool.get_object();
    json::object one = {{"type", "function"}};
    for (const char* name : {"name", "description", "parameters", "strict"}) {
      const json::value* value = given.if_contains(name);
      one[name] = value ? *value : json::value(nullptr);
    }
    repeated.push_back(std::move(one));
  }
  return repeated;
}

// A client sees in the answer what it was asked with.
std::string Repeated(Fields& fields) {
  const auto given = [&](std::string_view name, json::value otherwise) {
    const json::value* value = fields.Get(name);
    return value ? *value : std::move(otherwise);
  };
  const json::value* text = fields.Get("text");
  const json::value* format = text ? text->get_object().if_contains("format") : nullptr;
  json::object members = {
      {"background", false},
      {"instructions", given("instructions", nullptr)},
      {"max_output_tokens", given("max_output_tokens", nullptr)},
      {"max_tool_calls", given("max_tool_calls", nullptr)},
      {"metadata", given("metadata", json::object())},
      {"parallel_tool_calls", given("parallel_tool_calls", true)},
      {"previous_response_id", nullptr},
      {"reasoning", given("reasoning", nullptr)},
      {"store", false},
      {"temperature", given("temperature", nullptr)},
      {"text",
       {{"format", format && !format->is_null() ? *format : json::value{{"type", "text"}}}}},
      {"tool_choice", given("tool_choice", "auto")},
      {"tools", RepeatedTools(fields, fields.Get("tools"))},
      {"top_logprobs", given("top_logprobs", 0)},
      {"top_p", given("top_p", nullptr)},
      {"truncation", "disabled"}};
  if (const json::value* user = fields.Get("user")) members["user"] = *user;
  const std::string object = json::serialize(members);
  return object.substr(1, object.size() - 2);
}

}  // namespace

absl::StatusOr<GenerationCall> ParseResponse(std::string_view body, FieldNames* known) {
  return ReadBody<GenerationCall>(body, known, [](Fields& fields, GenerationCall& call) {
    call.endpoint = Endpoint::kResponse;
    gateway::Request request;
    request.split_reasoning = true;
    ChatPrompt prompt;
    ReadInstructions(fields, prompt);
    RefuseChatsNames(fields);
    ReadInput(fields, prompt.messages);
    RefuseState(fields);
    ReadSampling(fields, request);
    fields.Int("max_output_tokens", request.options.max_tokens);
    ReadLogprobs(fields, request.options);
    ReadReasoning(fields, prompt);
    ReadText(fields, request.options.grammar);
    ReadTools(fields, ToolForm::kFlat, prompt.tools);
    // Of the tools that a server runs itself, and there are none.
    int64_t max_tool_calls = 0;
    fields.Int("max_tool_calls", max_tool_calls);
    CheckMetadata(fields);
    std::string user;
    fields.String("user", user);
    fields.Bool("stream", call.stream);
    fields.Ignore("stream_options");
    call.repeated = fields.status().ok() ? Repeated(fields) : std::string();
    request.prompt = std::move(prompt);
    call.requests.push_back(std::move(request));
  });
}

}  // namespace weft::openai
