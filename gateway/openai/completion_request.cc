#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/request_body.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::GenerationOptions;
using gateway::Request;
using gateway::TextPrompt;
using gateway::TokenPrompt;

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

absl::StatusOr<GenerationCall> ParseCompletion(std::string_view body, FieldNames* known) {
  return ReadBody<GenerationCall>(body, known, [](Fields& fields, GenerationCall& call) {
    call.endpoint = Endpoint::kCompletion;
    Request request;
    bool add_special_tokens = true;
    fields.Bool("add_special_tokens", add_special_tokens);
    std::vector<Prompt> prompts = ReadPrompts(fields, add_special_tokens);
    ReadGeneration(fields, call, request);
    fields.Int("logprobs", request.options.logprobs);
    fields.Bool("echo", call.echo);
    if (call.echo && request.options.max_tokens == 0) {
      if (call.stream) fields.Fail("max_tokens", "must be at least 1 with stream: true");
      call.only_echo = true;
      request.options.max_tokens = 1;
    }
    if (call.echo && request.options.logprobs) {
      if (call.stream) fields.Fail("echo", "with logprobs is not available with stream: true");
      if (!call.shows_prompt_logprobs) request.options.prompt_logprobs = request.options.logprobs;
    }
    fields.Unsupported("suffix");
    fields.Unsupported("chat_template_kwargs");
    std::optional<int64_t> best_of;
    fields.Int("best_of", best_of);
    if (best_of && *best_of != request.options.n.value_or(1)) {
      fields.Fail("best_of", "is not supported: it must be absent or equal n");
    }
    CheckNumChoices(fields, prompts.size(), request.options);
    if (!fields.status().ok()) return;
    for (size_t i = 0; i + 1 < prompts.size(); ++i) call.requests.push_back(request);
    call.requests.push_back(std::move(request));
    for (size_t i = 0; i < prompts.size(); ++i) call.requests[i].prompt = std::move(prompts[i]);
  });
}

}  // namespace weft::openai
