// A conversation to the token ids that the model was trained on, through the
// Jinja template of the model directory (tokenizer_config.json's chat_template or
// chat_template.jinja).
//
// Control tokens that the template writes become control tokens; the same
// characters inside a message stay text. One exception: <think> and </think> in an
// assistant's content stay tags, for templates cut past reasoning off at them and
// a message to be continued may have begun with it. The template alone decides on
// BOS (R1's writes it); none is added.
//
// The template runs as in transformers: Python's string methods, raise_exception,
// strftime_now, tojson, trimmed blocks; tools and documents are none.
//
// Thread safety: every const method may be called from any thread at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "text/tokenizer.h"

namespace weft::text {

struct ChatMessage {
  std::string role;  // system, user, assistant, tool
  std::string content;
  std::string reasoning_content;  // empty: none
};

struct RenderOptions {
  bool add_generation_prompt = true;
  // The prompt ends where the last message's content ends, to be continued; no
  // generation prompt then. InvalidArgument if the template drops that message.
  bool continue_final_message = false;
};

class ChatTemplate {
 public:
  // NotFound when the model directory has no template: such a model serves
  // completions only.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> Load(
      const std::string& model_dir, std::shared_ptr<const Tokenizer> tokenizer);
  ~ChatTemplate();

  // The prompt as text, with control tokens as their names. InvalidArgument with
  // the template's own words when it refuses (raise_exception) or fails; a
  // template that runs away is stopped.
  absl::StatusOr<std::string> Render(const std::vector<ChatMessage>& messages,
                                     const RenderOptions& options) const;

  absl::StatusOr<std::vector<TokenId>> Encode(const std::vector<ChatMessage>& messages,
                                              const RenderOptions& options) const;

  // True if the generation prompt ends inside <think> (R1): the answer begins
  // with reasoning though no <think> is ever generated.
  bool starts_in_reasoning() const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::text
