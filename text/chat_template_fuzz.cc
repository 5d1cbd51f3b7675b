// Conversations through the demo models' templates, across the border to Rust: refused
// as the caller's fault or rendered, and no text of a user becomes a control token.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/check.h"
#include "tests/fuzz/input.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace weft::text {
namespace {

struct Model {
  explicit Model(const std::string& name) {
    const std::string dir = std::string(WEFT_SOURCE_DIR "/models/") + name;
    tokenizer = *Tokenizer::Load(dir);
    chat = *ChatTemplate::Load(dir, tokenizer);
  }
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat;
};

const Model& ModelOf(unsigned flags) {
  static const Model r1("weft-demo-r1"), math("weft-demo-math");
  return flags & 1 ? math : r1;
}

// Each field is one letter and its text: a new message (s u a t), or more of the last
// one: r its reasoning, c a call's name, j the call's arguments, i the id that it answers.
std::vector<ChatMessage> Messages(fuzz::Input input) {
  std::vector<ChatMessage> messages;
  while (!input.empty() && messages.size() < 32) {
    std::string_view field = input.Field();
    const char kind = field.empty() ? 'u' : field.front();
    if (!field.empty()) field.remove_prefix(1);
    const std::string text(field);
    const bool is_more = !messages.empty();
    if (kind == 'r' && is_more) {
      messages.back().reasoning_content = text;
    } else if (kind == 'c' && is_more) {
      messages.back().tool_calls.push_back({.id = "1", .name = text, .arguments = "{}"});
    } else if (kind == 'j' && is_more && !messages.back().tool_calls.empty()) {
      messages.back().tool_calls.back().arguments = text;
    } else if (kind == 'i' && is_more) {
      messages.back().tool_call_id = text;
    } else {
      const char* role = kind == 's'   ? "system"
                         : kind == 'a' ? "assistant"
                         : kind == 't' ? "tool"
                                       : "user";
      messages.push_back({.role = role, .content = text});
    }
  }
  return messages;
}

int NumControlTokens(const Model& model, const std::vector<TokenId>& ids) {
  return static_cast<int>(std::count_if(
      ids.begin(), ids.end(), [&](TokenId id) { return model.tokenizer->IsSpecial(id); }));
}

void Run(fuzz::Input input) {
  const unsigned flags = input.Byte();
  const Model& model = ModelOf(flags);
  RenderOptions options{.add_generation_prompt = (flags & 2) != 0,
                        .continue_final_message = (flags & 4) != 0};
  if (flags & 8) options.tools = std::string(input.Field());
  if (flags & 16) options.variables = std::string(input.Field());
  std::vector<ChatMessage> messages = Messages(input);

  const auto rendered = model.chat->Render(messages, options);
  const auto ids = model.chat->Encode(messages, options);
  WEFT_CHECK(rendered.ok() == ids.ok());
  if (!ids.ok()) {
    WEFT_CHECK(ids.status().code() == absl::StatusCode::kInvalidArgument);
    WEFT_CHECK(!ids.status().message().empty());
    return;
  }
  for (const TokenId id : *ids) WEFT_CHECK(id >= 0 && id < model.tokenizer->vocab_size());

  // An assistant's turn may be cut by the template, at its reasoning's end.
  const bool users_only = std::all_of(messages.begin(), messages.end(), [](const ChatMessage& m) {
    return m.role == "user" && m.tool_calls.empty();
  });
  if (!users_only || !options.tools.empty() || !options.variables.empty()) return;
  for (ChatMessage& message : messages) message.content = "x";
  const auto plain = model.chat->Encode(messages, options);
  WEFT_CHECK(plain.ok());
  WEFT_CHECK(NumControlTokens(model, *ids) == NumControlTokens(model, *plain));
}

}  // namespace
}  // namespace weft::text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::text::Run(weft::fuzz::Input(data, size));
  return 0;
}
