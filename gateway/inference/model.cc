#include "gateway/inference/model.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/inference/param_error.h"

namespace weft::gateway {
namespace {

void AddId(text::TokenId id, std::vector<TokenId>& ids) {
  if (id >= 0 && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

// Ids that end an answer, whichever file names them. A base model's files name
// only <|endoftext|>, but prompted in ChatML it ends its turns with <|im_end|>.
std::vector<TokenId> EosTokenIds(const Model& model) {
  std::vector<TokenId> ids;
  for (TokenId id : model.defaults.generation.eos_token_ids) AddId(id, ids);
  AddId(model.tokenizer->eos_id(), ids);
  if (model.chat_template != nullptr) {
    const auto turn = model.chat_template->Render({{.role = "user", .content = "x"}}, {});
    if (turn.ok() && absl::StrContains(*turn, "<|im_end|>")) {
      AddId(model.tokenizer->TokenToId("<|im_end|>"), ids);
    }
  }
  return ids;
}

absl::Status WithParam(absl::Status status, const char* param) {
  if (absl::IsInvalidArgument(status)) status.SetPayload(kParamPayload, absl::Cord(param));
  return status;
}

absl::StatusOr<std::vector<text::TokenId>> EncodeChat(const Model& model,
                                                      const ChatPrompt& prompt) {
  if (auto s = ValidateChat(prompt); !s.ok()) return s;
  if (model.chat_template == nullptr) {
    return ParamError("messages", "This model has no chat template: it serves completions only.");
  }
  auto ids = model.chat_template->Encode(prompt.messages, prompt.render);
  if (!ids.ok()) return WithParam(ids.status(), "messages");
  return ids;
}

absl::StatusOr<std::vector<text::TokenId>> EncodeText(const Model& model,
                                                      const TextPrompt& prompt) {
  auto ids = model.tokenizer->Encode(prompt.text, text::SpecialTokens::kAsText);
  if (!ids.ok()) return WithParam(ids.status(), "prompt");
  if (prompt.add_special && model.tokenizer->add_bos() && model.tokenizer->bos_id() >= 0) {
    ids->insert(ids->begin(), model.tokenizer->bos_id());
  }
  return ids;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> LoadModel(const std::string& model_dir,
                                                       std::vector<std::string> names) {
  auto model = std::make_shared<Model>();
  model->root = model_dir;
  model->created = absl::ToUnixSeconds(absl::Now());
  model->names = std::move(names);
  if (model->names.empty()) {
    std::string name = std::filesystem::path(model_dir).lexically_normal().filename();
    if (name.empty()) name = std::filesystem::path(model_dir).parent_path().filename();
    model->names.push_back(std::move(name));
  }
  auto tokenizer = text::Tokenizer::Load(model_dir);
  if (!tokenizer.ok()) return tokenizer.status();
  model->tokenizer = *std::move(tokenizer);
  auto chat_template = text::ChatTemplate::Load(model_dir, model->tokenizer);
  if (chat_template.ok()) {
    model->chat_template = *std::move(chat_template);
  } else if (!absl::IsNotFound(chat_template.status())) {
    return chat_template.status();
  }
  auto generation = LoadGenerationConfig(model_dir);
  if (!generation.ok()) return generation.status();
  model->defaults.generation = *std::move(generation);
  model->defaults.eos_token_ids = EosTokenIds(*model);
  model->reasoning_tags = {.open = model->tokenizer->TokenToId("<think>"),
                           .close = model->tokenizer->TokenToId("</think>")};
  for (text::TokenId id = 0; id < model->tokenizer->vocab_size(); ++id) {
    model->longest_token_bytes =
        std::max(model->longest_token_bytes, model->tokenizer->TokenBytes(id).size());
  }
  return model;
}

absl::StatusOr<std::vector<text::TokenId>> EncodePrompt(const Model& model,
                                                        const Request& request) {
  if (const auto* chat = std::get_if<ChatPrompt>(&request.prompt)) return EncodeChat(model, *chat);
  if (const auto* text = std::get_if<TextPrompt>(&request.prompt)) return EncodeText(model, *text);
  return std::get<TokenPrompt>(request.prompt).tokens;
}

}  // namespace weft::gateway
