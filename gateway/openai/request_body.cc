#include "gateway/openai/request_body.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "gateway/openai/structured.h"
#include "gateway/openai/tools.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::GenerationOptions;

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

void ReadStreamOptions(Fields& fields, GenerationCall& call) {
  const json::object* given = fields.Object("stream_options");
  if (!given) return;
  Fields options(*given, "stream_options.");
  options.Bool("include_usage", call.include_usage);
  options.Bool("continuous_usage_stats", call.continuous_usage);
  options.Ignore("include_obfuscation");
  fields.FailAs(options.status());
  if (!call.stream) fields.Fail("stream_options", "is only allowed with stream: true");
  LogUnknown(options);
}

}  // namespace

void ReadSampling(Fields& fields, gateway::Request& request) {
  GenerationOptions& options = request.options;
  fields.String("model", request.model);
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
  fields.Int("min_tokens", options.min_tokens);
  fields.Bool("ignore_eos", options.ignore_eos);
  fields.Bool("include_stop_str_in_output", options.include_stop_str_in_output);
  fields.Bool("skip_special_tokens", options.skip_special_tokens);
  fields.Int("priority", options.priority);
  fields.String("cache_salt", request.cache_salt);
  for (const char* name :
       {"bad_words", "allowed_token_ids", "truncate_prompt_tokens", "use_beam_search",
        "logits_processors", "prompt_embeds", "return_token_ids", "chat_template"}) {
    fields.Unsupported(name);
  }
  for (const char* name : {"user", "metadata", "store", "service_tier", "safety_identifier",
                           "prompt_cache_key", "prompt_cache_retention", "request_id",
                           "spaces_between_special_tokens", "length_penalty"}) {
    fields.Ignore(name);
  }
}

void ReadGeneration(Fields& fields, GenerationCall& call, gateway::Request& request) {
  GenerationOptions& options = request.options;
  ReadSampling(fields, request);
  fields.Int("max_tokens", options.max_tokens);
  fields.Int("n", options.n);
  fields.Bool("stream", call.stream);
  ReadStreamOptions(fields, call);
  ReadGrammar(fields, options.grammar);
  fields.Int("prompt_logprobs", options.prompt_logprobs);
  call.shows_prompt_logprobs = options.prompt_logprobs.has_value();
  if (call.stream && call.shows_prompt_logprobs) {
    fields.Fail("prompt_logprobs", "is not available with stream: true");
  }
}

void ReadTemplate(Fields& fields, gateway::ChatPrompt& prompt) {
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
  const json::object* variables = fields.Object("chat_template_kwargs");
  if (variables && !variables->empty()) prompt.render.variables = json::serialize(*variables);
  ReadTools(fields, ToolForm::kNested, prompt.tools);
}

}  // namespace weft::openai
