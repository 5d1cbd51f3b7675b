#include "text/chat_template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "text/model_files.h"
#include "text/rust.h"
#include "text/tokenizer_impl.h"

namespace weft::text {
namespace {

struct Source {
  std::string path;
  std::string text;
};

// As transformers chooses: the file of its own comes before the configuration.
absl::StatusOr<Source> FindTemplate(const std::string& model_dir, const TokenizerConfig& config) {
  const std::string path = model_dir + "/chat_template.jinja";
  auto text = ReadModelFile(path);
  if (text.ok()) return Source{path, *std::move(text)};
  if (!absl::IsNotFound(text.status())) return text.status();
  if (config.chat_template) {
    return Source{model_dir + "/tokenizer_config.json", *config.chat_template};
  }
  return absl::NotFoundError(absl::StrCat(
      model_dir, ": neither chat_template.jinja nor a chat_template in tokenizer_config.json"));
}

std::vector<ffi::Variable> Variables(const TokenizerConfig& config) {
  std::vector<ffi::Variable> variables;
  for (auto [name, token] :
       {std::pair{"bos_token", &config.bos_token}, std::pair{"eos_token", &config.eos_token},
        std::pair{"pad_token", &config.pad_token}, std::pair{"unk_token", &config.unk_token}}) {
    if (*token) variables.push_back({ToSlice(name), ToSlice(**token)});
  }
  return variables;
}

}  // namespace

struct ChatTemplate::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  RustTemplate rust;
  bool starts_in_reasoning = false;

  // The prompt with its messages' control tokens quoted (see ffi/src/quote.rs).
  absl::Status RenderQuoted(const std::vector<ChatMessage>& messages, const RenderOptions& options,
                            RustText& prompt) const;

  // True if a generation prompt opens <think> and does not close it.
  bool OpensReasoning() const;
};

absl::Status ChatTemplate::Impl::RenderQuoted(const std::vector<ChatMessage>& messages,
                                              const RenderOptions& options,
                                              RustText& prompt) const {
  if (options.continue_final_message && messages.empty()) {
    return absl::InvalidArgumentError("there is no message to continue");
  }
  std::vector<ffi::Message> slices;
  slices.reserve(messages.size());
  for (const ChatMessage& message : messages) {
    slices.push_back(
        {ToSlice(message.role), ToSlice(message.content), ToSlice(message.reasoning_content)});
  }
  RustText error;
  const bool generation_prompt = options.add_generation_prompt && !options.continue_final_message;
  const ffi::Code code =
      ffi::weft_text_template_render(rust.get(), slices.data(), slices.size(), generation_prompt,
                                     options.continue_final_message, prompt.out(), error.out());
  return ToStatus(code, error);
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
  auto source = FindTemplate(model_dir, *config);
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

bool ChatTemplate::starts_in_reasoning() const { return impl_->starts_in_reasoning; }

}  // namespace weft::text
