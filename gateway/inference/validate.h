// What a client asked for, judged and made complete. Every codec's requests pass
// here, and every message names the field and what would be right.
//
// A field that the client leaves out takes the model's generation_config.json,
// then OpenAI's default. `do_sample: false` there means greedy.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/generation_config.h"
#include "common/sampling.h"
#include "gateway/inference/request.h"

namespace weft::gateway {

// Below, vLLM calls a temperature greedy; from here to kMinTemperature it rounds
// up, since logits divided by less overflow.
inline constexpr double kGreedyTemperature = 1e-5;
inline constexpr double kMinTemperature = 0.01;
inline constexpr double kMaxTemperature = 2;  // OpenAI's
inline constexpr size_t kMaxTenantBytes = 128;
// OpenAI's 4 are too few for evaluation harnesses, which send all ends of a task.
inline constexpr int kMaxStopStrings = 32;
inline constexpr size_t kMaxStopBytes = 1024;
inline constexpr size_t kMaxTools = 128;             // OpenAI's
inline constexpr size_t kMaxToolsBytes = 256 << 10;  // of all definitions: they are prompt, too
inline constexpr int kMaxFunctionNameBytes = 64;     // OpenAI's
inline constexpr int kCompletionTokens = 16;         // OpenAI's default for completions

struct ModelLimits {
  int max_context_tokens = 0;
  int kv_tokens = 0;   // no sequence is longer; 0: not known
  int vocab_size = 0;  // ids are below
};

struct ResolvedOptions {
  SamplingParams sampling;  // stop_token_ids hold the model's end-of-text ids, too
  bool is_chat = false;
  int n = 1;
  int max_tokens = 0;  // 0: not given, FitLength decides
  int default_max_tokens = 0;
  std::vector<std::string> stop;
  std::vector<TokenId> client_stop_token_ids;
  bool include_stop = false;
  bool skip_special = true;
  int priority = 0;
};

struct ModelDefaults {
  GenerationConfig generation;
  std::vector<TokenId> eos_token_ids;  // all that end a sequence
};

// All but the lengths. A missing seed is drawn. InvalidArgument with kParamPayload.
absl::StatusOr<ResolvedOptions> ResolveOptions(const GenerationOptions& options, bool is_chat,
                                               const ModelDefaults& model,
                                               const ModelLimits& limits, int max_n);

// InvalidArgument, with code context_length_exceeded, when a prompt of at least so
// many tokens leaves no room: the cheap judgement, before it is encoded.
absl::Status CheckPromptLength(size_t least_tokens, bool is_chat, const ModelLimits& limits);

// Output tokens that the request may produce behind its prompt. InvalidArgument,
// with the same code, when prompt and output do not fit.
absl::StatusOr<int> FitLength(const ResolvedOptions& options, size_t num_prompt_tokens,
                              const ModelLimits& limits);

// Visible ASCII, and not too much of it; empty is a tenant, too.
absl::Status ValidateTenant(const std::string& tenant);

// Roles, what a template cannot do, and the size of the tools.
absl::Status ValidateChat(const ChatPrompt& prompt);

// Prompt ids of a client.
absl::Status ValidateTokens(const std::vector<text::TokenId>& tokens, const ModelLimits& limits);

// The seed of choice `index`: its own noise, the same whenever `seed` is, and the
// request's own for the first.
uint64_t ChoiceSeed(uint64_t seed, int index);

}  // namespace weft::gateway
