// A conversation to the token ids that the model was trained on, through the
// Jinja template of the model directory (tokenizer_config.json's chat_template or
// chat_template.jinja).
//
// Control tokens that the template writes become control tokens; the same
// characters inside a message stay text. A template that writes BOS itself (R1's
// does) is not given a second one.
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
  bool continue_final_message = false;  // the last message is left open
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
