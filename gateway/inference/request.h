// One front, several codecs: every API (chat, completions, gRPC) reads its own
// format into a Request, and writes its own format from Events. What lies behind
// knows neither which it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/grammar.h"
#include "common/trace_context.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace weft::auth {
class Permit;
}

namespace weft::gateway {

// A function that the model may call.
struct Tool {
  std::string name;
  std::string parameters;  // JSON schema of its arguments, as text; empty: any object
  std::string definition;  // the whole as the client wrote it in JSON: for the template
};

enum class ToolChoice {
  kNone,      // tools are not shown to the model
  kAuto,      // the model decides
  kRequired,  // the answer is at least one call
  kNamed,     // the answer is one call of ToolOptions::name
};

struct ToolOptions {
  std::vector<Tool> tools;
  ToolChoice choice = ToolChoice::kAuto;
  std::string name;      // of kNamed
  bool parallel = true;  // false: no more than one call in an answer
};

struct ChatPrompt {
  std::vector<text::ChatMessage> messages;
  text::RenderOptions render;  // its `tools` follow from those below
  ToolOptions tools;
  std::string reasoning_effort;  // none, minimal, low, medium, high, xhigh; empty: not said
};

using weft::Grammar;

// Text is encoded as it stands, behind BOS if the model's tokenizer adds one and
// `add_special` is true. Control tokens in it are text.
struct TextPrompt {
  std::string text;
  bool add_special = true;
};

struct TokenPrompt {
  std::vector<text::TokenId> tokens;
};

// What a client may leave out. Absent: the model's generation_config.json, then
// OpenAI's default. Values are as the client sent them; Service::Start judges
// them, for every codec alike.
struct GenerationOptions {
  std::optional<int64_t> max_tokens;  // absent: chat the rest of the context, completion 16
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int64_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::vector<std::pair<int64_t, double>> logit_bias;
  std::optional<int64_t> seed;
  std::vector<std::string> stop;
  std::vector<int64_t> stop_token_ids;
  std::optional<int64_t> n;
  std::optional<int64_t> min_tokens;
  std::optional<int64_t> logprobs;         // k: the sampled token's and the top k
  std::optional<int64_t> prompt_logprobs;  // likewise, of every prompt token
  bool ignore_eos = false;
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
  bool return_token_ids = false;  // Delta::token_ids
  int64_t priority = 0;
  std::optional<Grammar> grammar;
};

struct Request {
  std::string model;  // empty: the one that is served
  std::variant<ChatPrompt, TextPrompt, TokenPrompt> prompt;
  GenerationOptions options;
  // Split <think>…</think> into reasoning deltas. Chat does, completions do not.
  bool split_reasoning = false;
  std::string tenant;       // who pays: shares of the queue, quotas, prefixes
  std::string cache_salt;   // prefixes are shared only with requests of an equal one
  uint32_t timeout_ms = 0;  // 0: the server's default
  SpanContext trace;        // that what is done for it is a part of
  // Of the key that brought it; held while it runs. Null where no keys are asked for.
  std::shared_ptr<auth::Permit> permit;
};

}  // namespace weft::gateway
