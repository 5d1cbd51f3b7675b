#include "text/chat_template.h"

#include <boost/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "text/model_files.h"
#include "text/rust.h"
#include "text/tokenizer_impl.h"

namespace weft::text {
namespace {

namespace json = boost::json;

std::vector<ffi::Variable> Variables(const TokenizerConfig& config) {
  std::vector<ffi::Variable> variables;
  for (auto [name, token] :
       {std::pair{"bos_token", &config.bos_token}, std::pair{"eos_token", &config.eos_token},
        std::pair{"pad_token", &config.pad_token}, std::pair{"unk_token", &config.unk_token}}) {
    if (*token) variables.push_back({ToSlice(name), ToSlice(**token)});
  }
  return variables;
}

// As OpenAI writes them; empty: none.
std::string ToolCallsJson(const std::vector<ToolCall>& calls) {
  if (calls.empty()) return {};
  json::array list;
  for (const ToolCall& call : calls) {
    list.push_back({{"id", call.id},
                    {"type", "function"},
                    {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return json::serialize(list);
}

}  // namespace

struct ChatTemplate::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  RustTemplate rust;
  bool starts_in_reasoning = false;

  // The prompt with its messages' control tokens quoted (see ffi/src/quote.rs).
  absl::Status RenderQuoted(const std::vector<ChatMessage>& messages, const RenderOptions& options,
                            RustText& prompt) const;

  // The variables that the options ask for, as a JSON object; empty: none.
  absl::StatusOr<std::string> Variables(const RenderOptions& options) const;
  bool Takes(std::string_view name) const {
    return ffi::weft_text_template_takes(rust.get(), ToSlice(name));
  }

  // True if a generation prompt opens <think> and does not close it.
  bool OpensReasoning() const;
};

absl::Status ChatTemplate::Impl::RenderQuoted(const std::vector<ChatMessage>& messages,
                                              const RenderOptions& options,
                                              RustText& prompt) const {
  if (options.continue_final_message && messages.empty()) {
    return absl::InvalidArgumentError("there is no message to continue");
  }
  std::vector<std::string> tool_calls;
  tool_calls.reserve(messages.size());  // slices point into it
  std::vector<ffi::Message> slices;
  slices.reserve(messages.size());
  for (const ChatMessage& message : messages) {
    tool_calls.push_back(ToolCallsJson(message.tool_calls));
    slices.push_back({ToSlice(message.role), ToSlice(message.content),
                      ToSlice(message.reasoning_content), ToSlice(tool_calls.back()),
                      ToSlice(message.tool_call_id)});
  }
  auto variables = Variables(options);
  if (!variables.ok()) return variables.status();
  RustText error;
  const ffi::Code code = ffi::weft_text_template_render(
      rust.get(), slices.data(), slices.size(),
      {.add_generation_prompt = options.add_generation_prompt && !options.continue_final_message,
       .continue_final_message = options.continue_final_message,
       .tools = ToSlice(options.tools),
       .variables = ToSlice(*variables)},
      prompt.out(), error.out());
  return ToStatus(code, error);
}

absl::StatusOr<std::string> ChatTemplate::Impl::Variables(const RenderOptions& options) const {
  if (options.reasoning_effort.empty()) return options.variables;
  json::object variables;
  if (!options.variables.empty()) {
    boost::system::error_code error;
    json::value given = json::parse(options.variables, error);
    if (error || !given.is_object()) {
      return absl::InvalidArgumentError("chat_template_kwargs must be an object");
    }
    variables = std::move(given.get_object());
  }
  // What the client has set by name stays.
  if (Takes("reasoning_effort")) {
    variables.emplace("reasoning_effort", options.reasoning_effort);
  }
  for (const char* name : {"enable_thinking", "thinking"}) {
    if (options.reasoning_effort == "none" && Takes(name)) variables.emplace(name, false);
  }
  return variables.empty() ? std::string() : json::serialize(variables);
}

bool ChatTemplate::Impl::OpensReasoning() const {
  const std::vector<ChatMessage> question = {{.role = "user", .content = "?"}};
  RustText bare;
  RustText prompted;
  if (!RenderQuoted(question, {.add_generation_prompt = false}, bare).ok() ||
      !RenderQuoted(question, {.add_generation_prompt = true}, prompted).ok()) {
    return false;
  }
  std::string_view added = prompted.view();
  if (added.starts_with(bare.view())) added.remove_prefix(bare.view().size());
  const size_t open = added.rfind("<think>");
  const size_t close = added.rfind("</think>");
  return open != added.npos && (close == added.npos || close < open);
}

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<std::shared_ptr<const ChatTemplate>> ChatTemplate::Load(
    const std::string& model_dir, std::shared_ptr<const Tokenizer> tokenizer) {
  auto config = ReadTokenizerConfig(model_dir);
  if (!config.ok()) return config.status();
  auto source = FindChatTemplate(model_dir, *config);
  if (!source.ok()) return source.status();

  const std::vector<ffi::Variable> variables = Variables(*config);
  ffi::Template* rust = nullptr;
  RustText error;
  const ffi::Code code = ffi::weft_text_template_new(
      tokenizer->impl_->rust.get(), ToSlice("chat_template"), ToSlice(source->text),
      variables.data(), variables.size(), &rust, error.out());
  if (absl::Status status = ToStatus(code, error); !status.ok()) {
    return InFile(source->path, status);
  }
  auto impl = std::make_unique<Impl>();
  impl->tokenizer = std::move(tokenizer);
  impl->rust.reset(rust);
  impl->starts_in_reasoning = impl->OpensReasoning();
  return std::shared_ptr<const ChatTemplate>(new ChatTemplate(std::move(impl)));
}

absl::StatusOr<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                                 const RenderOptions& options) const {
  RustText prompt;
  if (auto status = impl_->RenderQuoted(messages, options, prompt); !status.ok()) return status;
  RustText text;
  RustText error;
  const ffi::Code code = ffi::weft_text_unquote(ToSlice(prompt.view()), text.out(), error.out());
  if (absl::Status status = ToStatus(code, error); !status.ok()) return status;
  return text.ToString();
}

absl::StatusOr<std::vector<TokenId>> ChatTemplate::Encode(const std::vector<ChatMessage>& messages,
                                                          const RenderOptions& options) const {
  RustText prompt;
  if (auto status = impl_->RenderQuoted(messages, options, prompt); !status.ok()) return status;
  RustIds ids;
  RustText error;
  const ffi::Code code = ffi::weft_text_encode_quoted(
      impl_->tokenizer->impl_->rust.get(), ToSlice(prompt.view()), ids.out(), error.out());
  if (absl::Status status = ToStatus(code, error); !status.ok()) return status;
  return ids.ToVector();
}

ToolSupport ChatTemplate::tool_support() const {
  const ffi::ToolSupport support = ffi::weft_text_template_tool_support(impl_->rust.get());
  return {.definitions = support.definitions,
          .calls = support.calls,
          .calls_beside_content = support.calls_beside_content,
          .results = support.results};
}

bool ChatTemplate::takes(std::string_view variable) const { return impl_->Takes(variable); }

bool ChatTemplate::starts_in_reasoning() const { return impl_->starts_in_reasoning; }

}  // namespace weft::text
