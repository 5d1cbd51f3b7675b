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
// strftime_now, tojson, trimmed blocks; documents are none.
//
// Thread safety: every const method may be called from any thread at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "text/tokenizer.h"

namespace weft::text {

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // a JSON object, as text
};

struct ChatMessage {
  std::string role;  // system, user, assistant, tool
  std::string content;
  std::string reasoning_content;     // empty: none
  std::vector<ToolCall> tool_calls;  // of an assistant turn
  std::string tool_call_id;          // of a tool turn: which call it answers
};

// R1's template writes no definitions, and no calls of a turn that has content, too.
struct ToolSupport {
  bool definitions = false;
  bool calls = false;
  bool calls_beside_content = false;
  bool results = false;
};

struct RenderOptions {
  bool add_generation_prompt = true;
  // The prompt ends where the last message's content ends, to be continued; no
  // generation prompt then. InvalidArgument if the template drops that message.
  bool continue_final_message = false;
  // The template's `tools`: a JSON array of definitions as OpenAI has them, as text.
  // Empty: none.
  std::string tools;
  // Further variables of the template (chat_template_kwargs): a JSON object, as text.
  // Empty: none.
  std::string variables;
  // As OpenAI names it ("low"); empty: not said. It becomes the variable reasoning_effort
  // where the template has one; "none" sets enable_thinking or thinking to false likewise.
  std::string reasoning_effort;
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

  // What of tools comes to stand in its prompts, as trying it has shown.
  ToolSupport tool_support() const;

  // True if the template refers to a variable of that name.
  bool takes(std::string_view variable) const;

  // True if the generation prompt ends inside <think> (R1): the answer begins
  // with reasoning though no <think> is ever generated.
  bool starts_in_reasoning() const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::text
