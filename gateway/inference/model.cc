#include "gateway/inference/model.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/inference/param_error.h"
#include "gateway/inference/tool_grammar.h"
#include "gateway/inference/tool_prompt.h"
#include "text/model_files.h"

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

// R1's makers advise against a system message; it is passed on as the template has it.
void HintAtSystemMessage(const Model& model, const ChatPrompt& prompt) {
  if (!model.chat_template->starts_in_reasoning() || prompt.messages.front().role != "system" ||
      model.has_hinted.exchange(true)) {
    return;
  }
  spdlog::info(
      "{}: a request has a system message; models of this kind are said to do better "
      "with all instructions in the user's",
      model.names.front());
}

// Behind what the template wrote: opens <think> if every answer shall begin there, closes
// it if none shall.
absl::Status AdjustReasoning(const Model& model, const ChatPrompt& prompt,
                             std::vector<text::TokenId>& ids) {
  if (!prompt.render.add_generation_prompt || model.reasoning_tags.close < 0) {
    return absl::OkStatus();
  }
  const bool is_open = BeginsInReasoning(model, ids);
  std::string more;
  if (prompt.reasoning_effort == "none" && is_open) {
    while (ids.back() != model.reasoning_tags.open) ids.pop_back();
    more = "\n\n</think>\n\n";
  } else if (prompt.reasoning_effort != "none" && !is_open && model.force_thinking) {
    more = "<think>\n";
  }
  const auto tail = model.tokenizer->Encode(more, text::SpecialTokens::kParse);
  if (!tail.ok()) return tail.status();
  ids.insert(ids.end(), tail->begin(), tail->end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<text::TokenId>> EncodeChat(const Model& model,
                                                      const ChatPrompt& prompt) {
  if (auto s = ValidateChat(prompt); !s.ok()) return s;
  if (model.chat_template == nullptr) {
    return ParamError("messages", "This model has no chat template: it serves completions only.");
  }
  HintAtSystemMessage(model, prompt);
  text::RenderOptions render = prompt.render;
  render.reasoning_effort = prompt.reasoning_effort;
  const text::ToolSupport support = model.chat_template->tool_support();
  if (support.definitions) render.tools = ToolDefinitions(prompt.tools);
  auto ids = DropsTools(prompt, support)
                 ? model.chat_template->Encode(WithTools(prompt, support), render)
                 : model.chat_template->Encode(prompt.messages, render);
  if (!ids.ok()) return WithParam(ids.status(), "messages");
  if (auto s = AdjustReasoning(model, prompt, *ids); !s.ok()) return s;
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
                                                       ModelOptions options) {
  auto model = std::make_shared<Model>();
  model->root = model_dir;
  model->created = absl::ToUnixSeconds(absl::Now());
  model->names = std::move(options.names);
  model->force_thinking = options.force_thinking;
  if (model->names.empty()) {
    std::string name = std::filesystem::path(model_dir).lexically_normal().filename();
    if (name.empty()) name = std::filesystem::path(model_dir).parent_path().filename();
    model->names.push_back(std::move(name));
  }
  auto tokenizer = text::Tokenizer::Load(model_dir);
  if (!tokenizer.ok()) return tokenizer.status();
  model->tokenizer = *std::move(tokenizer);
  model->grammars = text::GrammarCompiler::Start(model->tokenizer);
  auto chat_template = text::ChatTemplate::Load(model_dir, model->tokenizer);
  if (chat_template.ok()) {
    model->chat_template = *std::move(chat_template);
  } else if (!absl::IsNotFound(chat_template.status())) {
    return chat_template.status();
  }
  auto tokenizer_info = text::TokenizerInfo(model_dir);
  if (!tokenizer_info.ok()) return tokenizer_info.status();
  model->tokenizer_info = *std::move(tokenizer_info);
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

bool BeginsInReasoning(const Model& model, const std::vector<text::TokenId>& prompt) {
  const auto [open, close] = model.reasoning_tags;
  if (open < 0 || close < 0) return false;
  const auto last = std::find_if(prompt.rbegin(), prompt.rend(),
                                 [&](TokenId id) { return id == open || id == close; });
  return last != prompt.rend() && *last == open;
}

absl::StatusOr<std::optional<Grammar>> ResolveGrammar(const Model& model, const Request& request,
                                                      bool in_reasoning) {
  const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
  std::optional<Grammar> grammar = request.options.grammar;
  const char* param = "structured_outputs";
  if (grammar && (grammar->kind == Grammar::Kind::kJsonObject ||
                  grammar->kind == Grammar::Kind::kJsonSchema)) {
    param = "response_format";
  }
  if (chat != nullptr &&
      (chat->tools.choice == ToolChoice::kRequired || chat->tools.choice == ToolChoice::kNamed)) {
    if (grammar) {
      return ParamError(param, absl::StrCat(param,
                                            " does not go with a tool_choice that requires "
                                            "a call."));
    }
    grammar = ToolGrammar(chat->tools);
    param = "tools";
  }
  if (!grammar) return std::nullopt;
  if (request.options.min_tokens.value_or(0) > 0) {
    return ParamError("min_tokens", absl::StrCat("min_tokens does not go with ", param,
                                                 ": the grammar says when the answer ends."));
  }
  if (grammar->text.size() > kMaxGrammarBytes) {
    return ParamError(param, absl::StrCat(param, " takes ", grammar->text.size(),
                                          " bytes; at most ", kMaxGrammarBytes, " are allowed."));
  }
  if (in_reasoning) grammar->after_token = model.reasoning_tags.close;
  if (const auto start = model.grammars->Compile(*grammar); !start.ok()) {
    if (!absl::IsInvalidArgument(start.status())) return start.status();
    return ParamError(
        param, absl::StrCat(param, " cannot be followed: ", std::string(start.status().message())));
  }
  return grammar;
}

}  // namespace weft::gateway
