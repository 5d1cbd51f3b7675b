// The served model as the gateway knows it: text only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/inference/choice.h"
#include "gateway/inference/request.h"
#include "gateway/inference/validate.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace weft::gateway {

struct Model {
  std::vector<std::string> names;  // served under any of them; the first is its own
  std::string root;                // the directory it was read from
  int64_t created = 0;             // Unix seconds: when it was loaded
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null: completions only
  ModelDefaults defaults;
  ReasoningTags reasoning_tags;
  size_t longest_token_bytes = 1;
};

// Reads tokenizer, template and generation defaults of `model_dir`. Without names,
// the directory's name is served.
absl::StatusOr<std::shared_ptr<const Model>> LoadModel(const std::string& model_dir,
                                                       std::vector<std::string> names);

// The prompt's ids. InvalidArgument with kParamPayload for what the client can mend.
absl::StatusOr<std::vector<text::TokenId>> EncodePrompt(const Model& model, const Request& request);

}  // namespace weft::gateway
