#include "common/sampling_proto.h"

namespace weft {
namespace {

v1::GrammarKind ToProto(Grammar::Kind kind) {
  switch (kind) {
    case Grammar::Kind::kJsonObject:
      return v1::GRAMMAR_KIND_JSON_OBJECT;
    case Grammar::Kind::kJsonSchema:
      return v1::GRAMMAR_KIND_JSON_SCHEMA;
    case Grammar::Kind::kRegex:
      return v1::GRAMMAR_KIND_REGEX;
    case Grammar::Kind::kChoice:
      return v1::GRAMMAR_KIND_CHOICE;
    case Grammar::Kind::kGrammar:
      return v1::GRAMMAR_KIND_GRAMMAR;
  }
  return v1::GRAMMAR_KIND_UNSPECIFIED;
}

std::optional<Grammar::Kind> FromProto(v1::GrammarKind kind) {
  switch (kind) {
    case v1::GRAMMAR_KIND_JSON_OBJECT:
      return Grammar::Kind::kJsonObject;
    case v1::GRAMMAR_KIND_JSON_SCHEMA:
      return Grammar::Kind::kJsonSchema;
    case v1::GRAMMAR_KIND_REGEX:
      return Grammar::Kind::kRegex;
    case v1::GRAMMAR_KIND_CHOICE:
      return Grammar::Kind::kChoice;
    case v1::GRAMMAR_KIND_GRAMMAR:
      return Grammar::Kind::kGrammar;
    default:
      return std::nullopt;
  }
}

}  // namespace

void ToProto(const SamplingParams& p, v1::SamplingParams& proto) {
  proto.set_temperature(p.temperature);
  proto.set_top_k(p.top_k);
  proto.set_top_p(p.top_p);
  proto.set_min_p(p.min_p);
  proto.set_repetition_penalty(p.repetition_penalty);
  proto.set_presence_penalty(p.presence_penalty);
  proto.set_frequency_penalty(p.frequency_penalty);
  proto.set_seed(p.seed);
  proto.set_min_tokens(p.min_tokens);
  proto.mutable_stop_token_ids()->Assign(p.stop_token_ids.begin(), p.stop_token_ids.end());
  proto.clear_bias_tokens();
  proto.clear_bias_values();
  for (const auto& [id, value] : p.logit_bias) {
    proto.add_bias_tokens(id);
    proto.add_bias_values(value);
  }
  if (p.num_logprobs) {
    proto.set_num_logprobs(*p.num_logprobs);
  } else {
    proto.clear_num_logprobs();
  }
  proto.clear_grammar();
  if (p.grammar) {
    v1::Grammar& grammar = *proto.mutable_grammar();
    grammar.set_kind(ToProto(p.grammar->kind));
    grammar.set_text(p.grammar->text);
    if (p.grammar->after_token) grammar.set_after_token(*p.grammar->after_token);
  }
  if (p.num_prompt_logprobs) {
    proto.set_num_prompt_logprobs(*p.num_prompt_logprobs);
  } else {
    proto.clear_num_prompt_logprobs();
  }
}

absl::Status FromProto(const v1::SamplingParams& proto, SamplingParams& p) {
  if (proto.bias_tokens_size() != proto.bias_values_size()) {
    return absl::InvalidArgumentError("bias_tokens and bias_values differ in length");
  }
  for (uint32_t value :
       {proto.top_k(), proto.min_tokens(), proto.num_logprobs(), proto.num_prompt_logprobs()}) {
    if (FitsInt(value)) continue;
    return absl::InvalidArgumentError(
        "top_k, min_tokens, num_logprobs and num_prompt_logprobs must fit 31 bits");
  }
  p.temperature = proto.temperature();
  p.top_k = static_cast<int>(proto.top_k());
  p.top_p = proto.top_p();
  p.min_p = proto.min_p();
  p.repetition_penalty = proto.repetition_penalty();
  p.presence_penalty = proto.presence_penalty();
  p.frequency_penalty = proto.frequency_penalty();
  p.seed = proto.seed();
  p.min_tokens = static_cast<int>(proto.min_tokens());
  p.stop_token_ids.assign(proto.stop_token_ids().begin(), proto.stop_token_ids().end());
  p.logit_bias.clear();
  for (int i = 0; i < proto.bias_tokens_size(); ++i) {
    p.logit_bias.emplace_back(proto.bias_tokens(i), proto.bias_values(i));
  }
  p.grammar.reset();
  if (proto.has_grammar()) {
    const auto kind = FromProto(proto.grammar().kind());
    if (!kind) return absl::InvalidArgumentError("grammar.kind is not known here");
    p.grammar = Grammar{.kind = *kind, .text = proto.grammar().text(), .after_token = {}};
    if (proto.grammar().has_after_token()) p.grammar->after_token = proto.grammar().after_token();
  }
  p.num_logprobs.reset();
  if (proto.has_num_logprobs()) p.num_logprobs = static_cast<int>(proto.num_logprobs());
  p.num_prompt_logprobs.reset();
  if (proto.has_num_prompt_logprobs()) {
    p.num_prompt_logprobs = static_cast<int>(proto.num_prompt_logprobs());
  }
  return absl::OkStatus();
}

bool IsWhole(const v1::PromptLogprobs& logprobs) {
  const int count = logprobs.logprobs_size();
  const auto num_alternatives = uint64_t{logprobs.num_top()} * static_cast<uint64_t>(count);
  return logprobs.num_top() <= uint32_t{kMaxLogprobs} && logprobs.ranks_size() == count &&
         static_cast<uint64_t>(logprobs.top_tokens_size()) == num_alternatives &&
         static_cast<uint64_t>(logprobs.top_logprobs_size()) == num_alternatives;
}

}  // namespace weft
