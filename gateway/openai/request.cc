#include "gateway/openai/request.h"

#include <spdlog/spdlog.h>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gateway/openai/error.h"
#include "gateway/openai/fields.h"
#include "gateway/openai/json_reader.h"
#include "gateway/openai/messages.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::GenerationOptions;
using gateway::Request;
using gateway::TextPrompt;
using gateway::TokenPrompt;

absl::StatusOr<json::object> ParseObject(std::string_view body) {
  absl::StatusOr<json::value> value = ParseJson(body);
  if (!value.ok()) return value.status();
  if (!value->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("The request body must be a JSON object, not ",
                                                   std::string(KindName(*value)), "."));
  }
  return std::move(value->get_object());
}

void LogUnknown(const Fields& fields) {
  const std::vector<std::string> unknown = fields.Unknown();
  if (!unknown.empty()) spdlog::debug("ignored fields: {}", absl::StrJoin(unknown, ", "));
}

void ReadLogitBias(Fields& fields, GenerationOptions& options) {
  const json::object* biases = fields.Object("logit_bias");
  if (!biases) return;
  for (const auto& item : *biases) {
    const std::string_view key(item.key().data(), item.key().size());
    int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) {
      return fields.Fail("logit_bias", "must map token ids, as integers in quotes, to numbers");
    }
    if (!item.value().is_number()) {
      return fields.Fail("logit_bias", "must map token ids to numbers from -100 to 100");
    }
    options.logit_bias.emplace_back(id, item.value().to_number<double>());
  }
}

// What both generating endpoints know.
void ReadGeneration(Fields& fields, GenerationCall& call, Request& request) {
  GenerationOptions& options = request.options;
  fields.String("model", request.model);
  fields.Int("max_tokens", options.max_tokens);
  fields.Number("temperature", options.temperature);
  fields.Number("top_p", options.top_p);
  fields.Int("top_k", options.top_k);
  fields.Number("min_p", options.min_p);
  fields.Number("repetition_penalty", options.repetition_penalty);
  fields.Number("presence_penalty", options.presence_penalty);
  fields.Number("frequency_penalty", options.frequency_penalty);
  ReadLogitBias(fields, options);
  fields.Int("seed", options.seed);
  fields.StringOrStrings("stop", options.stop);
  fields.Ints("stop_token_ids", options.stop_token_ids);
  fields.Int("n", options.n);
  fields.Int("min_tokens", options.min_tokens);
  fields.Bool("ignore_eos", options.ignore_eos);
  fields.Bool("include_stop_str_in_output", options.include_stop_str_in_output);
  fields.Bool("skip_special_tokens", options.skip_special_tokens);
  fields.Int("priority", options.priority);

  fields.Bool("stream", call.stream);
  if (const json::object* given = fields.Object("stream_options")) {
    Fields stream_options(*given, "stream_options.");
    stream_options.Bool("include_usage", call.include_usage);
    stream_options.Bool("continuous_usage_stats", call.continuous_usage);
    stream_options.Ignore("include_obfuscation");
    if (!stream_options.status().ok()) {
      fields.FailAs(stream_options.status());
    } else if (!call.stream) {
      fields.Fail("stream_options", "is only allowed with stream: true");
    }
    LogUnknown(stream_options);
  }

  // OpenAI's schema form is trivial when it asks for text.
  if (const json::object* format = fields.Object("response_format")) {
    const json::value* type = format->if_contains("type");
    if (!type || !type->is_string() || type->get_string() != "text") {
      fields.Fail("response_format", "is not supported but for {\"type\":\"text\"}");
    }
  }
  for (const char* name :
       {"structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
        "bad_words", "allowed_token_ids", "truncate_prompt_tokens", "use_beam_search",
        "logits_processors", "prompt_embeds", "return_token_ids", "chat_template",
        "chat_template_kwargs"}) {
    fields.Unsupported(name);
  }
  fields.Int("prompt_logprobs", options.prompt_logprobs);
  call.shows_prompt_logprobs = options.prompt_logprobs.has_value();
  if (call.stream && call.shows_prompt_logprobs) {
    fields.Fail("prompt_logprobs", "is not available with stream: true");
  }
  for (const char* name :
       {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
        "request_id", "cache_salt", "spaces_between_special_tokens", "length_penalty"}) {
    fields.Ignore(name);
  }
}

void ReadTools(Fields& fields) {
  bool uses_tools = true;
  if (const json::value* choice = fields.Get("tool_choice")) {
    const json::string* name = choice->if_string();
    uses_tools = !name || *name != "none";
    if (uses_tools && !(name && *name == "auto")) {
      fields.Fail("tool_choice", "is not supported but for \"none\"");
    }
  }
  if (const json::value* tools = fields.Get("tools")) {
    if (!tools->is_array() || tools->get_array().empty()) {
      fields.Fail("tools", "must be an array of at least one tool, or absent");
    } else if (uses_tools) {
      fields.Fail("tools", "is not supported but with tool_choice: \"none\"");
    }
  }
  fields.Unsupported("functions");
  if (const json::value* call = fields.Get("function_call")) {
    const json::string* name = call->if_string();
    if (!name || (*name != "none" && *name != "auto")) {
      fields.Fail("function_call", "is not supported");
    }
  }
  fields.Ignore("parallel_tool_calls");
}

// Several prompts times n choices, all at once, are bounded; n itself is judged with
// the other values.
void CheckNumChoices(Fields& fields, size_t num_prompts, const GenerationOptions& options) {
  const auto prompts = static_cast<int64_t>(num_prompts);
  if (prompts > kMaxChoices) {
    return fields.Fail("prompt",
                       absl::StrCat("must hold at most ", kMaxChoices, " prompts, not ", prompts));
  }
  if (prompts > 1 && options.n.value_or(1) > kMaxChoices / prompts) {
    fields.Fail("n", absl::StrCat("times the number of prompts must be at most ", kMaxChoices));
  }
}

bool ReadTokens(const json::array& ids, TokenPrompt& prompt) {
  prompt.tokens.reserve(ids.size());
  for (const json::value& item : ids) {
    int64_t id = 0;
    if (!ReadInt(item, id) || id < 0 || id > std::numeric_limits<text::TokenId>::max())
      return false;
    prompt.tokens.push_back(static_cast<text::TokenId>(id));
  }
  return true;
}

using Prompt = decltype(Request::prompt);

// A string, strings, token ids, or lists of token ids.
std::vector<Prompt> ReadPrompts(Fields& fields, bool add_special) {
  constexpr std::string_view kShape =
      "must be a string, an array of strings, an array of token ids (integers from 0), or an "
      "array of such arrays";
  std::vector<Prompt> prompts;
  const json::value* value = fields.Get("prompt");
  if (!value) {
    fields.Fail("prompt", "is missing");
    return prompts;
  }
  const auto add_text = [&](const json::string& text) {
    prompts.push_back(TextPrompt{{text.data(), text.size()}, add_special});
  };
  if (const json::string* text = value->if_string()) {
    add_text(*text);
    return prompts;
  }
  const json::array* list = value->if_array();
  if (!list || list->empty()) {
    fields.Fail("prompt", list ? "must not be empty" : kShape);
    return prompts;
  }
  if (list->front().is_int64()) {
    TokenPrompt tokens;
    if (!ReadTokens(*list, tokens)) fields.Fail("prompt", kShape);
    prompts.push_back(std::move(tokens));
    return prompts;
  }
  const json::kind kind = list->front().kind();
  for (const json::value& item : *list) {
    TokenPrompt tokens;
    if (item.kind() == kind && item.is_string()) {
      add_text(item.get_string());
    } else if (item.kind() == kind && item.is_array() && ReadTokens(item.get_array(), tokens)) {
      prompts.push_back(std::move(tokens));
    } else {
      fields.Fail("prompt", kShape);
      break;
    }
  }
  return prompts;
}

}  // namespace

absl::StatusOr<GenerationCall> ParseChat(std::string_view body) {
  absl::StatusOr<json::object> object = ParseObject(body);
  if (!object.ok()) return object.status();
  GenerationCall call{.endpoint = Endpoint::kChat};
  Request request;
  request.split_reasoning = true;
  Fields fields(*object, "");
  gateway::ChatPrompt prompt;
  ReadMessages(fields, prompt.messages);
  ReadGeneration(fields, call, request);
  fields.Int("max_completion_tokens", request.options.max_tokens);  // wins over max_tokens

  bool logprobs = false;
  std::optional<int64_t> top_logprobs;
  fields.Bool("logprobs", logprobs);
  fields.Int("top_logprobs", top_logprobs);
  if (top_logprobs.value_or(0) != 0 && !logprobs) {
    fields.Fail("top_logprobs", "needs logprobs: true");
  }
  if (logprobs) request.options.logprobs = top_logprobs.value_or(0);

  fields.Bool("add_generation_prompt", prompt.render.add_generation_prompt);
  fields.Bool("continue_final_message", prompt.render.continue_final_message);
  if (prompt.render.add_generation_prompt && prompt.render.continue_final_message) {
    fields.Fail("continue_final_message", "needs add_generation_prompt: false");
  }
  bool add_special_tokens = false;
  fields.Bool("add_special_tokens", add_special_tokens);
  if (add_special_tokens) {
    fields.Fail("add_special_tokens", "must be false: the chat template writes them");
  }
  fields.Bool("echo", call.echo);
  if (std::exchange(call.echo, false)) fields.Fail("echo", "is not supported in chat");
  ReadTools(fields);
  fields.Unsupported("documents");
  fields.Unsupported("audio");
  fields.Unsupported("web_search_options");
  std::vector<std::string> modalities;
  fields.StringOrStrings("modalities", modalities);
  for (const std::string& modality : modalities) {
    if (modality != "text") fields.Fail("modalities", "must be [\"text\"]");
  }
  for (const char* name : {"reasoning_effort", "verbosity", "prediction", "include_reasoning"}) {
    fields.Ignore(name);
  }
  if (!fields.status().ok()) return fields.status();
  LogUnknown(fields);
  request.prompt = std::move(prompt);
  call.requests.push_back(std::move(request));
  return call;
}

absl::StatusOr<GenerationCall> ParseCompletion(std::string_view body) {
  absl::StatusOr<json::object> object = ParseObject(body);
  if (!object.ok()) return object.status();
  GenerationCall call{.endpoint = Endpoint::kCompletion};
  Request request;
  Fields fields(*object, "");
  bool add_special_tokens = true;
  fields.Bool("add_special_tokens", add_special_tokens);
  std::vector<Prompt> prompts = ReadPrompts(fields, add_special_tokens);
  ReadGeneration(fields, call, request);
  fields.Int("logprobs", request.options.logprobs);
  fields.Bool("echo", call.echo);
  if (call.echo && request.options.logprobs) {
    if (call.stream) fields.Fail("echo", "with logprobs is not available with stream: true");
    if (!call.shows_prompt_logprobs) request.options.prompt_logprobs = request.options.logprobs;
  }
  fields.Unsupported("suffix");
  std::optional<int64_t> best_of;
  fields.Int("best_of", best_of);
  if (best_of && *best_of != request.options.n.value_or(1)) {
    fields.Fail("best_of", "is not supported: it must be absent or equal n");
  }
  CheckNumChoices(fields, prompts.size(), request.options);
  if (!fields.status().ok()) return fields.status();
  LogUnknown(fields);
  for (size_t i = 0; i + 1 < prompts.size(); ++i) call.requests.push_back(request);
  call.requests.push_back(std::move(request));
  for (size_t i = 0; i < prompts.size(); ++i) call.requests[i].prompt = std::move(prompts[i]);
  return call;
}

absl::StatusOr<TokenizeCall> ParseTokenize(std::string_view body) {
  absl::StatusOr<json::object> object = ParseObject(body);
  if (!object.ok()) return object.status();
  TokenizeCall call;
  Fields fields(*object, "");
  fields.String("model", call.request.model);
  fields.Bool("return_token_strs", call.return_token_strs);
  std::optional<bool> add_special_tokens;
  fields.Bool("add_special_tokens", add_special_tokens);
  if (object->contains("messages")) {
    gateway::ChatPrompt prompt;
    ReadMessages(fields, prompt.messages);
    fields.Bool("add_generation_prompt", prompt.render.add_generation_prompt);
    fields.Bool("continue_final_message", prompt.render.continue_final_message);
    if (prompt.render.add_generation_prompt && prompt.render.continue_final_message) {
      fields.Fail("continue_final_message", "needs add_generation_prompt: false");
    }
    if (add_special_tokens.value_or(false)) {
      fields.Fail("add_special_tokens", "must be false: the chat template writes them");
    }
    fields.Unsupported("tools");
    call.request.prompt = std::move(prompt);
  } else {
    TextPrompt prompt;
    if (!fields.Get("prompt")) fields.Fail("prompt", "is missing");
    fields.String("prompt", prompt.text);
    prompt.add_special = add_special_tokens.value_or(true);
    call.request.prompt = std::move(prompt);
  }
  fields.Unsupported("chat_template");
  fields.Unsupported("chat_template_kwargs");
  if (!fields.status().ok()) return fields.status();
  LogUnknown(fields);
  return call;
}

absl::StatusOr<DetokenizeCall> ParseDetokenize(std::string_view body) {
  absl::StatusOr<json::object> object = ParseObject(body);
  if (!object.ok()) return object.status();
  DetokenizeCall call;
  Fields fields(*object, "");
  fields.String("model", call.model);
  if (!fields.Get("tokens")) fields.Fail("tokens", "is missing");
  fields.Ints("tokens", call.tokens);
  if (!fields.status().ok()) return fields.status();
  LogUnknown(fields);
  return call;
}

}  // namespace weft::openai
