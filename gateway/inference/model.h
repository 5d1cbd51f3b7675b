// The served model as the gateway knows it: text only.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/inference/choice.h"
#include "gateway/inference/request.h"
#include "gateway/inference/validate.h"
#include "text/chat_template.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace weft::gateway {

struct Model {
  std::vector<std::string> names;  // served under any of them; the first is its own
  std::string root;                // the directory it was read from
  int64_t created = 0;             // Unix seconds: when it was loaded
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null: completions only
  std::shared_ptr<text::GrammarCompiler> grammars;
  ModelDefaults defaults;
  ReasoningTags reasoning_tags;
  size_t longest_token_bytes = 1;
  std::string tokenizer_info;  // text::TokenizerInfo's
  bool force_thinking = false;
  mutable std::atomic<bool> has_hinted{false};  // at the system message, in the log
};

struct ModelOptions {
  std::vector<std::string> names;  // none: the directory's
  // Every answer begins inside <think>, also where the template does not open it: models
  // that may skip their reasoning then never do (R1's makers advise it).
  bool force_thinking = false;
};

// Reads tokenizer, template and generation defaults of `model_dir`.
absl::StatusOr<std::shared_ptr<const Model>> LoadModel(const std::string& model_dir,
                                                       ModelOptions options = {});

// The prompt's ids. InvalidArgument with kParamPayload for what the client can mend.
//
// In a chat, tools that the template does not show stand in the system message
// (tool_prompt.h), and a reasoning_effort of "none" closes a <think> that the template has
// opened, if no variable of the template's says the same.
absl::StatusOr<std::vector<text::TokenId>> EncodePrompt(const Model& model, const Request& request);

// True if an answer to these ids begins inside <think>: the last tag there is opens it.
// (What users write holds no tag: it is text.)
bool BeginsInReasoning(const Model& model, const std::vector<text::TokenId>& prompt);

// The grammar that the answer must follow, if the client gave one or requires a call of a
// tool. InvalidArgument with kParamPayload: it cannot be compiled, or does not go with the
// other options. `in_reasoning`: it holds behind the reasoning.
absl::StatusOr<std::optional<Grammar>> ResolveGrammar(const Model& model, const Request& request,
                                                      bool in_reasoning);

}  // namespace weft::gateway
