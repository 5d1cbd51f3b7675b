// OpenAI's JSON (with vLLM's extensions) to gateway::Request. Types and shapes are
// judged here, values by Service::Start, once for every codec.
//
// Accepted without effect: user, metadata, store and their like. Refused by name:
// what this server cannot do and must not ignore in silence (beam search, audio, ...).
// Unknown fields are accepted and logged at debug.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/inference/request.h"

namespace weft::openai {

enum class Endpoint { kChat, kCompletion, kResponse };

struct GenerationCall {
  Endpoint endpoint = Endpoint::kChat;
  // One per prompt: completions take several at once. Never empty.
  std::vector<gateway::Request> requests;
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;  // usage so far in every chunk
  bool echo = false;              // completions: the prompt's text comes first
  bool only_echo = false;         // and nothing else; a token is generated all the same
  // The answer has a field prompt_logprobs. Without it they are asked for, too, where
  // echo and logprobs are.
  bool shows_prompt_logprobs = false;
  // Responses: what the answer repeats of the request, as JSON members: "a":1,"b":2
  std::string repeated;
};

struct TokenizeCall {
  gateway::Request request;
  bool return_token_strs = false;
};

struct DetokenizeCall {
  std::string model;
  std::vector<int64_t> tokens;
};

// Choices of one call, over all its prompts.
inline constexpr int64_t kMaxChoices = 2048;

// `known`, if given, receives the names of all fields that the endpoint knows, good
// call or not.
using FieldNames = std::vector<std::string>;
absl::StatusOr<GenerationCall> ParseChat(std::string_view body, FieldNames* known = nullptr);
absl::StatusOr<GenerationCall> ParseCompletion(std::string_view body, FieldNames* known = nullptr);
absl::StatusOr<GenerationCall> ParseResponse(std::string_view body, FieldNames* known = nullptr);
absl::StatusOr<TokenizeCall> ParseTokenize(std::string_view body, FieldNames* known = nullptr);
absl::StatusOr<DetokenizeCall> ParseDetokenize(std::string_view body, FieldNames* known = nullptr);

}  // namespace weft::openai
