#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sampling.h"
#include "gateway/openai/messages.h"
#include "gateway/openai/request_body.h"

namespace weft::openai {
namespace {

// What came before tools. Words that ask for nothing are accepted.
void RefuseFunctions(Fields& fields) {
  fields.Unsupported("functions");
  const boost::json::value* call = fields.Get("function_call");
  const boost::json::string* name = call ? call->if_string() : nullptr;
  if (call && !(name && (*name == "none" || *name == "auto"))) {
    fields.Fail("function_call", "is not supported: say it with tool_choice");
  }
}

}  // namespace

absl::StatusOr<GenerationCall> ParseChat(std::string_view body, FieldNames* known) {
  return ReadBody<GenerationCall>(body, known, [](Fields& fields, GenerationCall& call) {
    gateway::Request request;
    request.split_reasoning = true;
    gateway::ChatPrompt prompt;
    ReadMessages(fields, prompt.messages);
    ReadGeneration(fields, call, request);
    // It wins over max_tokens, as which the middle would refuse it.
    std::optional<int64_t> max_completion_tokens;
    fields.Int("max_completion_tokens", max_completion_tokens);
    if (max_completion_tokens.value_or(1) < 1) {
      fields.Fail("max_completion_tokens", "must be at least 1");
    }
    if (max_completion_tokens) request.options.max_tokens = max_completion_tokens;

    bool logprobs = false;
    std::optional<int64_t> top_logprobs;
    fields.Bool("logprobs", logprobs);
    fields.Int("top_logprobs", top_logprobs);
    if (top_logprobs.value_or(0) != 0 && !logprobs) {
      fields.Fail("top_logprobs", "needs logprobs: true");
    } else if (top_logprobs && (*top_logprobs < 0 || *top_logprobs > kMaxLogprobs)) {
      fields.Fail("top_logprobs", absl::StrCat("must be between 0 and ", kMaxLogprobs));
    }
    if (logprobs) request.options.logprobs = top_logprobs.value_or(0);

    ReadTemplate(fields, prompt);
    fields.String("reasoning_effort", prompt.reasoning_effort);
    RefuseFunctions(fields);
    for (const char* name : {"echo", "documents", "audio", "web_search_options"}) {
      fields.Unsupported(name);
    }
    std::vector<std::string> modalities;
    fields.StringOrStrings("modalities", modalities);
    for (const std::string& modality : modalities) {
      if (modality != "text") fields.Fail("modalities", "must be [\"text\"]");
    }
    for (const char* name : {"verbosity", "prediction", "include_reasoning"}) fields.Ignore(name);
    request.prompt = std::move(prompt);
    call.requests.push_back(std::move(request));
  });
}

}  // namespace weft::openai
