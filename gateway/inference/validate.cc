#include "gateway/inference/validate.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gateway/inference/param_error.h"

namespace weft::gateway {
namespace {

absl::Status CheckReal(const char* field, const std::optional<double>& value, double low,
                       double high) {
  if (!value || (*value >= low && *value <= high)) return absl::OkStatus();
  return ParamError(
      field, absl::StrFormat("%s must be between %g and %g, got %g.", field, low, high, *value));
}

absl::Status CheckInt(const char* field, const std::optional<int64_t>& value, int64_t low,
                      int64_t high) {
  if (!value || (*value >= low && *value <= high)) return absl::OkStatus();
  return ParamError(
      field, absl::StrFormat("%s must be between %d and %d, got %d.", field, low, high, *value));
}

absl::Status CheckToken(const char* field, int64_t id, const ModelLimits& limits) {
  if (id >= 0 && id < limits.vocab_size) return absl::OkStatus();
  return ParamError(field, absl::StrFormat("%s holds the token id %d; the model's ids are 0 to %d.",
                                           field, id, limits.vocab_size - 1));
}

absl::Status CheckRanges(const GenerationOptions& o, int max_n) {
  constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
  constexpr int64_t kIntMin = std::numeric_limits<int32_t>::min();
  if (auto s = CheckReal("temperature", o.temperature, 0, kMaxTemperature); !s.ok()) return s;
  if (auto s = CheckReal("min_p", o.min_p, 0, 1); !s.ok()) return s;
  if (auto s = CheckReal("presence_penalty", o.presence_penalty, -2, 2); !s.ok()) return s;
  if (auto s = CheckReal("frequency_penalty", o.frequency_penalty, -2, 2); !s.ok()) return s;
  if (o.top_p && !(*o.top_p > 0 && *o.top_p <= 1)) {
    return ParamError("top_p",
                      absl::StrFormat("top_p must be above 0 and at most 1, got %g.", *o.top_p));
  }
  if (o.repetition_penalty) {
    const float value = static_cast<float>(*o.repetition_penalty);
    if (!std::isfinite(value) || value <= 0) {
      return ParamError("repetition_penalty",
                        absl::StrFormat("repetition_penalty must be a number above 0, got %g.",
                                        *o.repetition_penalty));
    }
  }
  if (o.top_k && *o.top_k < -1) {
    return ParamError(
        "top_k", absl::StrFormat("top_k must be -1 or 0 (off), or at least 1, got %d.", *o.top_k));
  }
  if (o.max_tokens && *o.max_tokens < 1) {
    return ParamError("max_tokens",
                      absl::StrFormat("max_tokens must be at least 1, got %d.", *o.max_tokens));
  }
  if (o.min_tokens && *o.min_tokens < 0) {
    return ParamError("min_tokens",
                      absl::StrFormat("min_tokens must be at least 0, got %d.", *o.min_tokens));
  }
  if (auto s = CheckInt("n", o.n, 1, max_n); !s.ok()) return s;
  if (auto s = CheckInt("logprobs", o.logprobs, 0, kMaxLogprobs); !s.ok()) return s;
  if (auto s = CheckInt("prompt_logprobs", o.prompt_logprobs, 0, kMaxLogprobs); !s.ok()) return s;
  return CheckInt("priority", o.priority, kIntMin, kIntMax);
}

absl::Status CheckStops(const GenerationOptions& o, const ModelLimits& limits) {
  if (o.stop.size() > kMaxStopStrings) {
    return ParamError("stop", absl::StrFormat("stop may hold at most %d strings, got %d.",
                                              kMaxStopStrings, o.stop.size()));
  }
  for (const std::string& stop : o.stop) {
    if (stop.empty()) return ParamError("stop", "stop must not hold an empty string.");
    if (stop.size() > kMaxStopBytes) {
      return ParamError("stop",
                        absl::StrFormat("A stop string may be at most %d bytes long, got %d.",
                                        kMaxStopBytes, stop.size()));
    }
  }
  if (o.stop_token_ids.size() > kMaxStopTokens) {
    return ParamError("stop_token_ids",
                      absl::StrFormat("stop_token_ids may hold at most %d ids, got %d.",
                                      kMaxStopTokens, o.stop_token_ids.size()));
  }
  for (int64_t id : o.stop_token_ids) {
    if (auto s = CheckToken("stop_token_ids", id, limits); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status CheckBias(const GenerationOptions& o, const ModelLimits& limits) {
  if (o.logit_bias.size() > kMaxLogitBias) {
    return ParamError("logit_bias", absl::StrFormat("logit_bias may hold at most %d ids, got %d.",
                                                    kMaxLogitBias, o.logit_bias.size()));
  }
  for (const auto& [id, value] : o.logit_bias) {
    if (auto s = CheckToken("logit_bias", id, limits); !s.ok()) return s;
    if (!(value >= -100 && value <= 100)) {
      return ParamError(
          "logit_bias",
          absl::StrFormat("A logit_bias must be between -100 and 100, got %g.", value));
    }
  }
  return absl::OkStatus();
}

bool IsFunctionName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFunctionNameBytes &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

absl::Status CheckTools(const ToolOptions& options) {
  if (options.tools.size() > kMaxTools) {
    return ParamError("tools", absl::StrFormat("tools may hold at most %d tools, got %d.",
                                               kMaxTools, options.tools.size()));
  }
  size_t bytes = 0;
  for (const Tool& tool : options.tools) bytes += tool.definition.size();
  if (bytes > kMaxToolsBytes) {
    return ParamError(
        "tools", absl::StrFormat("The definitions of all tools together may be at most %d bytes "
                                 "long, got %d.",
                                 kMaxToolsBytes, bytes));
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < options.tools.size(); ++i) {
    const std::string& name = options.tools[i].name;
    const std::string param = absl::StrFormat("tools[%d].function.name", i);
    if (!IsFunctionName(name)) {
      return ParamError(param, absl::StrFormat("A function's name must be 1 to %d letters, digits, "
                                               "underscores or hyphens.",
                                               kMaxFunctionNameBytes));
    }
    if (!names.insert(name).second) {
      return ParamError(param, absl::StrCat("Two tools are called ", name, "."));
    }
  }
  if (options.choice == ToolChoice::kNamed && !names.contains(options.name)) {
    return ParamError("tool_choice", "tool_choice names a function that is not among the tools.");
  }
  if (options.choice == ToolChoice::kRequired && names.empty()) {
    return ParamError("tool_choice", "tool_choice is \"required\", but there are no tools.");
  }
  return absl::OkStatus();
}

absl::Status CheckEffort(const std::string& effort) {
  constexpr std::string_view kEfforts[] = {"",       "none", "minimal", "low",
                                           "medium", "high", "xhigh",   "max"};
  if (std::find(std::begin(kEfforts), std::end(kEfforts), effort) != std::end(kEfforts)) {
    return absl::OkStatus();
  }
  return ParamError(
      "reasoning_effort",
      "reasoning_effort must be one of none, minimal, low, medium, high, xhigh, max.");
}

uint64_t RandomSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

float Temperature(const GenerationOptions& o, const GenerationConfig& config) {
  if (!o.temperature && config.do_sample == false) return 0;
  const double value = o.temperature.value_or(config.temperature.value_or(1.0f));
  if (value < kGreedyTemperature) return 0;
  return static_cast<float>(std::clamp(value, kMinTemperature, kMaxTemperature));
}

// A float has no value as small as the smallest double above 0.
float TopP(double value) {
  return std::max(static_cast<float>(value), std::numeric_limits<float>::min());
}

SamplingParams Sampling(const GenerationOptions& o, const ModelDefaults& model,
                        const ModelLimits& limits) {
  const GenerationConfig& config = model.generation;
  SamplingParams p;
  p.temperature = Temperature(o, config);
  p.top_p = TopP(o.top_p.value_or(config.top_p.value_or(1.0f)));
  p.top_k = static_cast<int>(
      std::clamp<int64_t>(o.top_k.value_or(config.top_k.value_or(0)), 0, limits.vocab_size));
  p.min_p = static_cast<float>(o.min_p.value_or(config.min_p.value_or(0.0f)));
  p.repetition_penalty =
      static_cast<float>(o.repetition_penalty.value_or(config.repetition_penalty.value_or(1.0f)));
  p.presence_penalty = static_cast<float>(o.presence_penalty.value_or(0));
  p.frequency_penalty = static_cast<float>(o.frequency_penalty.value_or(0));
  p.seed = o.seed ? static_cast<uint64_t>(*o.seed) : RandomSeed();
  if (!o.ignore_eos) p.stop_token_ids = model.eos_token_ids;
  for (int64_t id : o.stop_token_ids) {
    const auto token = static_cast<TokenId>(id);
    if (std::find(p.stop_token_ids.begin(), p.stop_token_ids.end(), token) ==
        p.stop_token_ids.end()) {
      p.stop_token_ids.push_back(token);
    }
  }
  for (const auto& [id, value] : o.logit_bias) {
    p.logit_bias.emplace_back(static_cast<TokenId>(id), static_cast<float>(value));
  }
  if (o.logprobs) p.num_logprobs = static_cast<int>(*o.logprobs);
  if (o.prompt_logprobs) p.num_prompt_logprobs = static_cast<int>(*o.prompt_logprobs);
  return p;
}

// What bounds prompt and output together.
struct Context {
  int64_t limit = 0;
  std::string description;
};

Context ContextOf(const ModelLimits& limits) {
  Context context{
      .limit = limits.max_context_tokens,
      .description = absl::StrFormat("This model's maximum context length is %d tokens.",
                                     limits.max_context_tokens)};
  if (limits.kv_tokens > 0 && limits.kv_tokens < context.limit) {
    context.limit = limits.kv_tokens;
    context.description +=
        absl::StrFormat(" This server's KV cache holds %d of them.", limits.kv_tokens);
  }
  return context;
}

absl::Status TooLong(const char* param, std::string message) {
  absl::Status status = ParamError(param, message);
  status.SetPayload(kCodePayload, absl::Cord("context_length_exceeded"));
  return status;
}

absl::Status PromptTooLong(const Context& context, bool is_chat, const char* at_least,
                           size_t num_tokens) {
  return TooLong(is_chat ? "messages" : "prompt",
                 absl::StrFormat("%s However, your prompt has %s%d tokens, and at least one more "
                                 "must fit. Please reduce the length of the prompt.",
                                 context.description, at_least, num_tokens));
}

}  // namespace

absl::StatusOr<ResolvedOptions> ResolveOptions(const GenerationOptions& options, bool is_chat,
                                               const ModelDefaults& model,
                                               const ModelLimits& limits, int max_n) {
  if (auto s = CheckRanges(options, max_n); !s.ok()) return s;
  if (auto s = CheckStops(options, limits); !s.ok()) return s;
  if (auto s = CheckBias(options, limits); !s.ok()) return s;

  ResolvedOptions resolved;
  resolved.is_chat = is_chat;
  resolved.sampling = Sampling(options, model, limits);
  if (resolved.sampling.stop_token_ids.size() > kMaxStopTokens) {
    return ParamError("stop_token_ids",
                      absl::StrFormat("stop_token_ids may hold at most %d ids beside the model's "
                                      "own end-of-text ids.",
                                      kMaxStopTokens - model.eos_token_ids.size()));
  }
  resolved.n = static_cast<int>(options.n.value_or(1));
  if (resolved.n > 1 && resolved.sampling.temperature == 0) {
    return ParamError(
        "n", absl::StrFormat("n must be 1 when using greedy sampling, got %d.", resolved.n));
  }
  // Larger than any context is as large as it gets: FitLength refuses it by its size.
  constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
  resolved.max_tokens = static_cast<int>(std::min(options.max_tokens.value_or(0), kIntMax));
  resolved.default_max_tokens =
      is_chat ? model.generation.max_new_tokens.value_or(std::numeric_limits<int32_t>::max())
              : kCompletionTokens;
  resolved.sampling.min_tokens =
      static_cast<int>(std::min(options.min_tokens.value_or(0), kIntMax));
  resolved.stop = options.stop;
  for (int64_t id : options.stop_token_ids) {
    resolved.client_stop_token_ids.push_back(static_cast<TokenId>(id));
  }
  resolved.include_stop = options.include_stop_str_in_output;
  resolved.skip_special = options.skip_special_tokens;
  resolved.priority = static_cast<int>(options.priority);
  return resolved;
}

absl::Status CheckPromptLength(size_t least_tokens, bool is_chat, const ModelLimits& limits) {
  const Context context = ContextOf(limits);
  if (static_cast<int64_t>(least_tokens) < context.limit) return absl::OkStatus();
  return PromptTooLong(context, is_chat, "at least ", least_tokens);
}

absl::StatusOr<int> FitLength(const ResolvedOptions& options, size_t num_prompt_tokens,
                              const ModelLimits& limits) {
  const Context context = ContextOf(limits);
  const int64_t prompt = static_cast<int64_t>(num_prompt_tokens);
  if (prompt >= context.limit) {
    return PromptTooLong(context, options.is_chat, "", num_prompt_tokens);
  }
  const int64_t room = context.limit - prompt;
  if (options.max_tokens > room) {
    return TooLong("max_tokens",
                   absl::StrFormat("%s However, you requested %d tokens (%d in the prompt, %d in "
                                   "the completion). Please reduce max_tokens or the length of "
                                   "the prompt.",
                                   context.description, prompt + options.max_tokens, prompt,
                                   options.max_tokens));
  }
  const int max_tokens =
      options.max_tokens > 0
          ? options.max_tokens
          : static_cast<int>(std::min<int64_t>(options.default_max_tokens, room));
  if (options.sampling.min_tokens > max_tokens) {
    return ParamError("min_tokens",
                      absl::StrFormat("min_tokens must be at most max_tokens=%d, got %d.",
                                      max_tokens, options.sampling.min_tokens));
  }
  return max_tokens;
}

absl::Status ValidateTenant(const std::string& tenant) {
  const bool is_visible =
      std::all_of(tenant.begin(), tenant.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (is_visible && tenant.size() <= kMaxTenantBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "The tenant's name must be at most %d visible ASCII characters.", kMaxTenantBytes));
}

absl::Status ValidateChat(const ChatPrompt& prompt) {
  if (prompt.messages.empty()) {
    return ParamError("messages", "messages must hold at least one message.");
  }
  for (size_t i = 0; i < prompt.messages.size(); ++i) {
    const std::string& role = prompt.messages[i].role;
    if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
      return ParamError(absl::StrFormat("messages[%d].role", i),
                        "A message's role must be one of system, user, assistant, tool.");
    }
  }
  if (auto s = CheckTools(prompt.tools); !s.ok()) return s;
  if (auto s = CheckEffort(prompt.reasoning_effort); !s.ok()) return s;
  if (prompt.render.add_generation_prompt && prompt.render.continue_final_message) {
    return ParamError("continue_final_message",
                      "continue_final_message and add_generation_prompt cannot both be true.");
  }
  return absl::OkStatus();
}

absl::Status ValidateTokens(const std::vector<text::TokenId>& tokens, const ModelLimits& limits) {
  if (tokens.empty()) return ParamError("prompt", "prompt must not be empty.");
  for (text::TokenId id : tokens) {
    if (auto s = CheckToken("prompt", id, limits); !s.ok()) return s;
  }
  return absl::OkStatus();
}

uint64_t ChoiceSeed(uint64_t seed, int index) {
  if (index == 0) return seed;
  // SplitMix64: neighbouring inputs, unrelated outputs.
  uint64_t z = seed + 0x9e3779b97f4a7c15u * static_cast<uint64_t>(index);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace weft::gateway
