// What happens to a request, in the order in which a client is told.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "text/tokenizer.h"

namespace weft::gateway {

struct Logprob {
  text::TokenId id = 0;
  std::string token;  // its bytes; not always UTF-8
  float logprob = 0;
};

struct TokenLogprob {
  Logprob token;
  std::vector<Logprob> top;  // best first
};

// A token of the prompt, given those before it. `rank` 1: the model's first choice; 0:
// the first token, which nothing predicts: it has no logprob and no top.
struct PromptLogprob {
  Logprob token;
  int rank = 0;
  std::vector<Logprob> top;  // best first
};

// More of a call of a tool. The first of a call has its id and name; the arguments of
// all of its deltas together are a JSON object, or as much of it as the model has written.
struct ToolCallDelta {
  int call = 0;  // in the choice, from 0
  std::string id;
  std::string name;
  std::string arguments;
};

// Text to append to choice `index`. At least one field is non-empty. A delta
// holds back what may still become a stop string or is half a character, so its
// tokens need not match its text one to one; over the whole choice they do.
struct Delta {
  int index = 0;
  std::string content;
  std::string reasoning;
  std::vector<TokenLogprob> logprobs;  // of the tokens behind this text, if asked for
  int num_tokens = 0;
  std::vector<ToolCallDelta> tool_calls;
  // If asked for: every token of the choice once, as it is sampled, also those whose text
  // is held back or dropped (a stop token, a stop string). Over the whole choice as many
  // as usage counts.
  std::vector<text::TokenId> token_ids;
};

enum class FinishReason { kStop, kLength, kToolCalls };

// The choice's last event.
struct ChoiceFinished {
  int index = 0;
  FinishReason reason = FinishReason::kStop;
  std::string stop_string;        // the stop string that ended it; empty: none did
  text::TokenId stop_token = -1;  // a client's stop_token_ids entry that ended it; -1: none
};

struct Usage {
  int prompt_tokens = 0;
  int completion_tokens = 0;  // of all choices
  int cached_tokens = 0;      // of the prompt, from the prefix cache
  int reasoning_tokens = 0;
};

// All choices have finished: the stream's last event.
struct Completed {
  Usage usage;
  std::vector<PromptLogprob> prompt_logprobs;  // of every prompt token, if asked for
};

// The stream's last event, too: nothing follows. The status says what a client is
// told; absl code as in the map of gateway/openai/error.h.
struct Failed {
  absl::Status status;
  absl::Duration retry_after = absl::ZeroDuration();  // zero: no advice
};

using Event = std::variant<Delta, ChoiceFinished, Completed, Failed>;

}  // namespace weft::gateway
