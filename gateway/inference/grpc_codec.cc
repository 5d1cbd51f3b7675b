#include "gateway/inference/grpc_codec.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gateway/inference/param_error.h"
#include "text/utf8.h"

namespace weft::gateway {
namespace {

namespace json = boost::json;

std::optional<Grammar> ReadGrammar(const v1::GenerationOptions& proto) {
  switch (proto.structured_output_case()) {
    case v1::GenerationOptions::kJsonObject:
      if (!proto.json_object()) return std::nullopt;
      return Grammar{.kind = Grammar::Kind::kJsonObject};
    case v1::GenerationOptions::kJsonSchema:
      return Grammar{.kind = Grammar::Kind::kJsonSchema, .text = proto.json_schema()};
    case v1::GenerationOptions::kRegex:
      return Grammar{.kind = Grammar::Kind::kRegex, .text = proto.regex()};
    case v1::GenerationOptions::kChoice: {
      json::array choices;
      for (const std::string& choice : proto.choice().values()) choices.emplace_back(choice);
      return Grammar{.kind = Grammar::Kind::kChoice, .text = json::serialize(choices)};
    }
    case v1::GenerationOptions::kGrammar:
      return Grammar{.kind = Grammar::Kind::kGrammar, .text = proto.grammar()};
    case v1::GenerationOptions::STRUCTURED_OUTPUT_NOT_SET:
      break;
  }
  return std::nullopt;
}

GenerationOptions ReadOptions(const v1::GenerationOptions& proto) {
  GenerationOptions o;
  if (proto.has_max_tokens()) o.max_tokens = proto.max_tokens();
  if (proto.has_temperature()) o.temperature = proto.temperature();
  if (proto.has_top_p()) o.top_p = proto.top_p();
  if (proto.has_top_k()) o.top_k = proto.top_k();
  if (proto.has_min_p()) o.min_p = proto.min_p();
  if (proto.has_repetition_penalty()) o.repetition_penalty = proto.repetition_penalty();
  if (proto.has_presence_penalty()) o.presence_penalty = proto.presence_penalty();
  if (proto.has_frequency_penalty()) o.frequency_penalty = proto.frequency_penalty();
  for (const auto& [id, value] : proto.logit_bias()) o.logit_bias.emplace_back(id, value);
  std::sort(o.logit_bias.begin(), o.logit_bias.end());  // a map has no order to report errors in
  if (proto.has_seed()) o.seed = proto.seed();
  o.stop.assign(proto.stop().begin(), proto.stop().end());
  o.stop_token_ids.assign(proto.stop_token_ids().begin(), proto.stop_token_ids().end());
  if (proto.has_n()) o.n = proto.n();
  if (proto.has_min_tokens()) o.min_tokens = proto.min_tokens();
  if (proto.has_logprobs()) o.logprobs = proto.logprobs();
  if (proto.has_prompt_logprobs()) o.prompt_logprobs = proto.prompt_logprobs();
  o.ignore_eos = proto.ignore_eos();
  o.include_stop_str_in_output = proto.include_stop_str_in_output();
  if (proto.has_skip_special_tokens()) o.skip_special_tokens = proto.skip_special_tokens();
  o.priority = proto.priority();
  o.grammar = ReadGrammar(proto);
  o.return_token_ids = proto.return_token_ids();
  return o;
}

// ---- conversations ----

bool IsObject(const std::string& text) {
  json::parse_options options;
  options.max_depth = 48;  // as over HTTP
  json::error_code error;
  const json::value value = json::parse(text, error, {}, options);
  return !error && value.is_object();
}

// The tool as OpenAI's JSON has it, which is what templates are written for.
std::string Definition(const v1::Tool& tool) {
  const auto quoted = [](const std::string& text) { return json::serialize(json::string(text)); };
  std::string definition =
      absl::StrCat(R"({"type":"function","function":{"name":)", quoted(tool.name()));
  if (!tool.description().empty()) {
    absl::StrAppend(&definition, R"(,"description":)", quoted(tool.description()));
  }
  if (!tool.parameters().empty()) {
    absl::StrAppend(&definition, R"(,"parameters":)", tool.parameters());
  }
  if (tool.has_strict()) {
    absl::StrAppend(&definition, R"(,"strict":)", tool.strict() ? "true" : "false");
  }
  return definition + "}}";
}

template <typename Chat>
absl::Status ReadTools(const Chat& proto, ToolOptions& tools) {
  for (int i = 0; i < proto.tools_size(); ++i) {
    const v1::Tool& tool = proto.tools(i);
    if (tool.name().empty()) {
      return ParamError(absl::StrFormat("tools[%d].name", i), "A tool must have a name.");
    }
    if (!tool.parameters().empty() && !IsObject(tool.parameters())) {
      return ParamError(absl::StrFormat("tools[%d].parameters", i),
                        "A tool's parameters must be a JSON schema, as the text of an object.");
    }
    tools.tools.push_back(
        {.name = tool.name(), .parameters = tool.parameters(), .definition = Definition(tool)});
  }
  const v1::ToolChoice& choice = proto.tool_choice();
  switch (choice.mode()) {
    case v1::ToolChoice::MODE_UNSPECIFIED:
    case v1::ToolChoice::MODE_AUTO:
      tools.choice = ToolChoice::kAuto;
      break;
    case v1::ToolChoice::MODE_NONE:
      tools.choice = ToolChoice::kNone;
      break;
    case v1::ToolChoice::MODE_REQUIRED:
      tools.choice = ToolChoice::kRequired;
      break;
    case v1::ToolChoice::MODE_NAMED:
      tools.choice = ToolChoice::kNamed;
      tools.name = choice.name();
      break;
    default:
      return ParamError("tool_choice.mode",
                        absl::StrFormat("tool_choice.mode is %d; it must be one of MODE_NONE, "
                                        "MODE_AUTO, MODE_REQUIRED and MODE_NAMED.",
                                        static_cast<int>(choice.mode())));
  }
  if (choice.name().empty() == (choice.mode() == v1::ToolChoice::MODE_NAMED)) {
    return ParamError("tool_choice.name", "tool_choice.name goes with MODE_NAMED, and only then.");
  }
  if constexpr (requires { proto.parallel_tool_calls(); }) {
    if (proto.has_parallel_tool_calls()) tools.parallel = proto.parallel_tool_calls();
  }
  return absl::OkStatus();
}

text::ChatMessage ReadMessage(const v1::ChatMessage& proto) {
  text::ChatMessage message{.role = proto.role(),
                            .content = proto.content(),
                            .reasoning_content = proto.reasoning_content(),
                            .tool_call_id = proto.tool_call_id()};
  for (const v1::ToolCall& call : proto.tool_calls()) {
    message.tool_calls.push_back(
        {.id = call.id(), .name = call.name(), .arguments = call.arguments()});
  }
  return message;
}

// A ChatRequest's or what Tokenize has of one.
template <typename Chat>
absl::StatusOr<ChatPrompt> ReadChat(const Chat& proto) {
  ChatPrompt prompt;
  for (const v1::ChatMessage& message : proto.messages()) {
    prompt.messages.push_back(ReadMessage(message));
  }
  if (auto s = ReadTools(proto, prompt.tools); !s.ok()) return s;
  prompt.reasoning_effort = proto.reasoning_effort();
  prompt.render.continue_final_message = proto.continue_final_message();
  prompt.render.add_generation_prompt = proto.has_add_generation_prompt()
                                            ? proto.add_generation_prompt()
                                            : !proto.continue_final_message();
  if (proto.template_variables().fields_size() > 0) {
    const auto status = google::protobuf::util::MessageToJsonString(proto.template_variables(),
                                                                    &prompt.render.variables);
    if (!status.ok()) {
      return ParamError("template_variables",
                        absl::StrCat("template_variables cannot be written as JSON: ",
                                     std::string(status.message())));
    }
  }
  return prompt;
}

// ---- answers ----

template <typename Message>
auto& FindChoice(Message& message, int index) {
  for (auto& choice : *message.mutable_choices()) {
    if (choice.index() == static_cast<uint32_t>(index)) return choice;
  }
  auto& choice = *message.add_choices();
  choice.set_index(static_cast<uint32_t>(index));
  return choice;
}

v1::ToolCall& FindCall(v1::ChatMessage& message, uint32_t index) {
  for (v1::ToolCall& call : *message.mutable_tool_calls()) {
    if (call.index() == index) return call;
  }
  v1::ToolCall& call = *message.add_tool_calls();
  call.set_index(index);
  return call;
}

const char* Name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
  }
  return "";
}

void WriteText(const Delta& delta, v1::ChatChoice& choice) {
  v1::ChatMessage& message = *choice.mutable_message();
  message.set_role("assistant");
  message.mutable_content()->append(delta.content);
  message.mutable_reasoning_content()->append(delta.reasoning);
  for (const ToolCallDelta& more : delta.tool_calls) {
    v1::ToolCall& call = FindCall(message, static_cast<uint32_t>(more.call));
    call.mutable_id()->append(more.id);
    call.mutable_name()->append(more.name);
    call.mutable_arguments()->append(more.arguments);
  }
}

void WriteText(const Delta& delta, v1::CompletionChoice& choice) {
  choice.mutable_text()->append(delta.content);
}

void WriteLogprob(const Logprob& logprob, v1::Logprob& proto) {
  proto.set_id(logprob.id);
  proto.set_logprob(logprob.logprob);
  proto.set_token_bytes(logprob.token);
  // A token may be a part of a character; a proto string may not.
  proto.set_token(text::ToUtf8(logprob.token));
}

template <typename Message>
void WriteAny(const Event& event, Message& message) {
  if (const auto* delta = std::get_if<Delta>(&event)) {
    auto& choice = FindChoice(message, delta->index);
    WriteText(*delta, choice);
    choice.mutable_token_ids()->Add(delta->token_ids.begin(), delta->token_ids.end());
    for (const TokenLogprob& logprob : delta->logprobs) {
      v1::TokenLogprob& proto = *choice.add_logprobs();
      WriteLogprob(logprob.token, *proto.mutable_token());
      for (const Logprob& top : logprob.top) WriteLogprob(top, *proto.add_top());
    }
  } else if (const auto* finished = std::get_if<ChoiceFinished>(&event)) {
    auto& choice = FindChoice(message, finished->index);
    choice.set_finish_reason(Name(finished->reason));
    choice.set_stop_reason(finished->stop_string);
  } else if (const auto* completed = std::get_if<Completed>(&event)) {
    v1::Usage& usage = *message.mutable_usage();
    usage.set_prompt_tokens(static_cast<uint32_t>(completed->usage.prompt_tokens));
    usage.set_completion_tokens(static_cast<uint32_t>(completed->usage.completion_tokens));
    usage.set_cached_tokens(static_cast<uint32_t>(completed->usage.cached_tokens));
    usage.set_reasoning_tokens(static_cast<uint32_t>(completed->usage.reasoning_tokens));
    if constexpr (requires { message.prompt_logprobs(); }) {  // not in chunks
      for (const PromptLogprob& logprob : completed->prompt_logprobs) {
        v1::PromptLogprob& proto = *message.add_prompt_logprobs();
        WriteLogprob(logprob.token, *proto.mutable_token());
        proto.set_rank(static_cast<uint32_t>(logprob.rank));
        for (const Logprob& top : logprob.top) WriteLogprob(top, *proto.add_top());
      }
    }
  }
}

}  // namespace

absl::StatusOr<Request> ReadRequest(const v1::ChatRequest& proto) {
  auto prompt = ReadChat(proto);
  if (!prompt.ok()) return prompt.status();
  Request request;
  request.model = proto.model();
  request.prompt = *std::move(prompt);
  request.options = ReadOptions(proto.options());
  request.split_reasoning = true;
  return request;
}

absl::StatusOr<Request> ReadRequest(const v1::CompletionRequest& proto) {
  Request request;
  request.model = proto.model();
  request.options = ReadOptions(proto.options());
  switch (proto.prompt_case()) {
    case v1::CompletionRequest::kText:
      request.prompt =
          TextPrompt{.text = proto.text(),
                     .add_special = !proto.has_add_special_tokens() || proto.add_special_tokens()};
      return request;
    case v1::CompletionRequest::kTokens:
      request.prompt =
          TokenPrompt{.tokens = {proto.tokens().ids().begin(), proto.tokens().ids().end()}};
      return request;
    default:
      return ParamError("prompt", "One of text and tokens must be set.");
  }
}

absl::StatusOr<Request> ReadRequest(const v1::TokenizeRequest& proto) {
  Request request;
  request.model = proto.model();
  switch (proto.input_case()) {
    case v1::TokenizeRequest::kText:
      request.prompt =
          TextPrompt{.text = proto.text(),
                     .add_special = !proto.has_add_special_tokens() || proto.add_special_tokens()};
      return request;
    case v1::TokenizeRequest::kChat: {
      auto prompt = ReadChat(proto.chat());
      if (!prompt.ok()) return prompt.status();
      request.prompt = *std::move(prompt);
      return request;
    }
    default:
      return ParamError("input", "One of text and chat must be set.");
  }
}

AnswerHead MakeHead(const char* prefix, std::string model) {
  thread_local std::mt19937_64 random{std::random_device()()};
  return {.id = absl::StrFormat("%s-%016x%016x", prefix, random(), random()),
          .model = std::move(model),
          .created = absl::ToUnixSeconds(absl::Now())};
}

void WriteEvent(const Event& event, v1::ChatResponse& message) { WriteAny(event, message); }
void WriteEvent(const Event& event, v1::ChatChunk& message) { WriteAny(event, message); }
void WriteEvent(const Event& event, v1::CompletionResponse& message) { WriteAny(event, message); }
void WriteEvent(const Event& event, v1::CompletionChunk& message) { WriteAny(event, message); }

absl::Status WriteTokenizerInfo(const std::string& json, v1::GetTokenizerInfoResponse& response) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, response.mutable_info());
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError("The tokenizer's description is not JSON.");
}

}  // namespace weft::gateway
