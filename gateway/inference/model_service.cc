#include "gateway/inference/model_service.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "gateway/inference/active_request.h"
#include "gateway/inference/param_error.h"
#include "gateway/inference/tool_prompt.h"

namespace weft::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A prompt of that many bytes tokenizes in about 30 ms.
constexpr size_t kHeavyBytes = 64 << 10;

size_t PromptBytes(const Request& request) {
  if (const auto* text = std::get_if<TextPrompt>(&request.prompt)) return text->text.size();
  size_t bytes = 0;
  if (const auto* chat = std::get_if<ChatPrompt>(&request.prompt)) {
    for (const auto& message : chat->messages) {
      bytes += message.content.size() + message.reasoning_content.size();
    }
    for (const Tool& tool : chat->tools.tools) bytes += tool.definition.size();
  }
  return bytes;
}

// Nothing: the request has no tools that the model may call.
std::optional<ToolParserOptions> ParserOptions(const ToolOptions& tools) {
  if (!ShowsTools(tools)) return std::nullopt;
  ToolParserOptions options{.functions = {}, .parallel = tools.parallel};
  for (const Tool& tool : tools.tools) options.functions.push_back(tool.name);
  return options;
}

ModelLimits LimitsOf(const v1::ModelFacts& facts) {
  const auto clamp = [](uint32_t value) {
    return static_cast<int>(std::min<uint32_t>(value, std::numeric_limits<int32_t>::max()));
  };
  return {.max_context_tokens = clamp(facts.max_context_tokens()),
          .kv_tokens = clamp(facts.kv_tokens()),
          .vocab_size = clamp(facts.vocab_size())};
}

}  // namespace

ModelService::ModelService(std::shared_ptr<const Model> model, ModelServiceOptions options,
                           Upstream& upstream, GatewayMetrics& metrics)
    : model_(std::move(model)),
      options_(options),
      upstream_(upstream),
      metrics_(metrics),
      pool_(options.num_threads, options.max_preparing) {}

ModelService::~ModelService() = default;

void ModelService::Start(Request request,
                         std::function<void(absl::StatusOr<StartedRequest>)> done) {
  const MonotonicTime arrived = steady_clock::now();
  const auto refuse = [&](const absl::Status& status) {
    metrics_.Rejected(status);
    done(status);
  };
  // What would be turned away is, before it costs anything.
  if (auto s = CheckQueue(upstream_.state()); !s.ok()) return refuse(s);
  const auto weight =
      PromptBytes(request) >= kHeavyBytes ? WorkPool::Weight::kHeavy : WorkPool::Weight::kLight;
  auto task = [this, request = std::move(request), done, arrived]() mutable {
    auto started = Prepare(request, arrived);
    if (!started.ok()) metrics_.Rejected(started.status());
    done(std::move(started));
  };
  if (!pool_.Run(weight, std::move(task))) {
    refuse(RetryLater("Too many requests are being prepared.", absl::Seconds(1)));
  }
}

absl::StatusOr<StartedRequest> ModelService::Prepare(Request& request, MonotonicTime arrived) {
  const SchedulerState state = upstream_.state();
  if (auto s = CheckQueue(state); !s.ok()) return s;
  if (auto s = ValidateTenant(request.tenant); !s.ok()) return s;
  const ModelLimits limits = LimitsOf(*state.model);

  const bool is_chat = std::holds_alternative<ChatPrompt>(request.prompt);
  auto options = ResolveOptions(request.options, is_chat, model_->defaults, limits, options_.max_n);
  if (!options.ok()) return options.status();
  // What cannot fit however well it is encoded is not worth the work.
  const size_t least_tokens = PromptBytes(request) / model_->longest_token_bytes;
  if (auto s = CheckPromptLength(least_tokens, is_chat, limits); !s.ok()) return s;
  auto prompt = EncodePrompt(*model_, request);
  if (!prompt.ok()) return prompt.status();
  if (auto s = ValidateTokens(*prompt, limits); !s.ok()) return s;
  const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
  const bool split = request.split_reasoning && model_->reasoning_tags.close >= 0;
  const bool in_reasoning = chat != nullptr && BeginsInReasoning(*model_, *prompt);
  auto grammar = ResolveGrammar(*model_, request, in_reasoning);
  if (!grammar.ok()) return grammar.status();
  options->sampling.grammar = *std::move(grammar);
  const auto max_tokens = FitLength(*options, prompt->size(), limits);
  if (!max_tokens.ok()) return max_tokens.status();

  const auto timeout =
      request.timeout_ms > 0 ? milliseconds(request.timeout_ms) : options_.default_timeout;
  const auto shared_prompt = std::make_shared<const std::vector<TokenId>>(*std::move(prompt));
  const std::optional<ToolParserOptions> tools =
      chat != nullptr ? ParserOptions(chat->tools) : std::nullopt;
  const Tracer::Begun trace = options_.tracer->Begin(request.trace);
  std::vector<ActiveRequest::ChoicePlan> choices;
  for (int i = 0; i < options->n; ++i) {
    ActiveRequest::ChoicePlan plan;
    plan.options = {.index = i,
                    .stop = options->stop,
                    .eos_token_ids = request.options.ignore_eos ? std::vector<TokenId>()
                                                                : model_->defaults.eos_token_ids,
                    .stop_token_ids = options->client_stop_token_ids,
                    .include_stop = options->include_stop,
                    .skip_special = options->skip_special,
                    .return_token_ids = request.options.return_token_ids,
                    .min_tokens = options->sampling.min_tokens,
                    .split_reasoning = split ? std::optional(model_->reasoning_tags) : std::nullopt,
                    .starts_in_reasoning = in_reasoning,
                    .tools = tools};
    plan.submission = {.tenant = request.tenant,
                       .prompt = shared_prompt,
                       .sampling = options->sampling,
                       .max_tokens = *max_tokens,
                       .deadline = arrived + timeout,
                       .priority = options->priority,
                       .cache_salt = request.cache_salt,
                       .trace = trace.context};
    plan.submission.sampling.seed = ChoiceSeed(options->sampling.seed, i);
    // The choices share one prompt, whose logprobs are told once.
    if (i > 0) plan.submission.sampling.num_prompt_logprobs.reset();
    choices.push_back(std::move(plan));
  }
  std::string model = request.model.empty() ? model_->names.front() : request.model;
  auto active =
      std::make_shared<ActiveRequest>(ActiveRequest::Options{.prompt = shared_prompt,
                                                             .arrived = arrived,
                                                             .timeout = timeout,
                                                             .model = model,
                                                             .tracer = options_.tracer,
                                                             .trace = trace},
                                      std::move(choices), model_->tokenizer, upstream_, metrics_);
  return StartedRequest{.events = active->Start(),
                        .num_choices = options->n,
                        .prompt_tokens = static_cast<int>(shared_prompt->size()),
                        .prompt = shared_prompt,
                        .model = std::move(model)};
}

absl::Status ModelService::CheckUpstream(const SchedulerState& state) const {
  constexpr absl::Duration kRetryAfter = absl::Seconds(1);
  if (draining_) return RetryLater("The server is shutting down.", kRetryAfter);
  if (!state.welcomed) return RetryLater("The scheduler is not connected.", kRetryAfter);
  if (!state.model) return RetryLater("No worker has loaded the model yet.", kRetryAfter);
  return absl::OkStatus();
}

absl::Status ModelService::CheckQueue(const SchedulerState& state) const {
  if (!draining_ && IsBetweenLeaders(state)) return absl::OkStatus();
  if (auto s = CheckUpstream(state); !s.ok()) return s;
  if (state.retry_after.count() == 0) return absl::OkStatus();
  return RetryLater(absl::StrFormat("The queue is full with %d requests.", state.num_waiting),
                    absl::Milliseconds(state.retry_after.count()));
}

bool ModelService::IsBetweenLeaders(const SchedulerState& state) const {
  return !state.welcomed && state.model && state.lost_at &&
         steady_clock::now() < *state.lost_at + options_.change_of_leader;
}

std::vector<ModelInfo> ModelService::Models() const {
  const SchedulerState state = upstream_.state();
  std::vector<ModelInfo> models;
  for (const std::string& name : model_->names) {
    models.push_back(
        {.id = name,
         .root = model_->root,
         .created = model_->created,
         .max_model_len = state.model ? LimitsOf(*state.model).max_context_tokens : 0});
  }
  return models;
}

absl::StatusOr<std::vector<text::TokenId>> ModelService::Tokenize(const Request& request) const {
  return EncodePrompt(*model_, request);
}

absl::StatusOr<std::string> ModelService::Detokenize(const std::vector<int64_t>& tokens) const {
  std::vector<text::TokenId> ids;
  ids.reserve(tokens.size());
  for (int64_t id : tokens) {
    if (id < 0 || id >= model_->tokenizer->vocab_size()) {
      return ParamError("tokens",
                        absl::StrFormat("tokens holds the id %d; the tokenizer's are 0 to %d.", id,
                                        model_->tokenizer->vocab_size() - 1));
    }
    ids.push_back(static_cast<text::TokenId>(id));
  }
  return model_->tokenizer->Decode(ids, /*skip_special=*/false);
}

std::string ModelService::TokenText(text::TokenId id) const {
  return model_->tokenizer->Decode({&id, 1}, /*skip_special=*/false).value_or(std::string());
}

absl::Status ModelService::Ready() const {
  const SchedulerState state = upstream_.state();
  if (auto s = CheckUpstream(state); !s.ok()) return s;
  if (state.num_ready_workers == 0) return absl::UnavailableError("No worker is ready.");
  return absl::OkStatus();
}

void ModelService::Drain() { draining_ = true; }

}  // namespace weft::gateway
