// Tokens to text as it streams: never half a character, stop strings held back exactly,
// and all pieces together what decoding everything at once and then cutting would give.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/check.h"
#include "gateway/inference/choice.h"
#include "tests/fuzz/input.h"
#include "text/stream_decoder.h"
#include "text/test_models.h"
#include "text/utf8.h"

namespace weft::gateway {
namespace {

using text::TokenId;

const std::shared_ptr<const text::Tokenizer>& Tokenizer() {
  static const text::TinyModel model;
  static const auto tokenizer = *text::Tokenizer::Load(model.dir());
  return tokenizer;
}

// A byte is the token of that byte; behind 0xFE stands one of the others, or none.
std::vector<TokenId> Tokens(fuzz::Input input) {
  std::vector<TokenId> ids;
  while (!input.empty()) {
    const unsigned byte = input.Byte();
    ids.push_back(static_cast<TokenId>(byte == 0xFE ? 250 + input.Byte() : byte));
  }
  return ids;
}

// The match that ends first; of several that end together the longest.
std::optional<std::pair<size_t, size_t>> FirstStop(const std::string& text,
                                                   const std::vector<std::string>& stops) {
  std::optional<std::pair<size_t, size_t>> first;
  for (const std::string& stop : stops) {
    const size_t begin = text.find(stop);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stop.size();
    if (!first || end < first->second || (end == first->second && begin < first->first)) {
      first = {begin, end};
    }
  }
  return first;
}

void Run(fuzz::Input input) {
  const unsigned flags = input.Byte();
  ChoiceOptions options;
  options.include_stop = flags & 1;
  options.skip_special = flags & 2;
  const bool ends_at_eos = flags & 4;
  const bool splits = flags & 8;
  if (ends_at_eos) options.eos_token_ids = {Tokenizer()->eos_id()};
  if (splits) {
    options.split_reasoning = {Tokenizer()->TokenToId("<think>"),
                               Tokenizer()->TokenToId("</think>")};
    options.starts_in_reasoning = flags & 16;
  }
  for (unsigned i = input.Byte() % 4; i > 0; --i) {
    std::string stop = text::ToUtf8(input.Field());
    if (!stop.empty()) options.stop.push_back(std::move(stop));
  }
  const std::vector<TokenId> ids = Tokens(input);

  Choice choice(options, Tokenizer());
  std::string content, reasoning;
  const auto take = [&](const Delta& delta) {
    WEFT_CHECK(text::ToUtf8(delta.content) == delta.content);
    WEFT_CHECK(text::ToUtf8(delta.reasoning) == delta.reasoning);
    content += delta.content;
    reasoning += delta.reasoning;
  };
  for (const TokenId id : ids) {
    Delta delta;
    choice.Push(id, std::nullopt, delta);
    take(delta);
  }
  Delta last;
  const ChoiceFinished finished = choice.Finish(FinishReason::kLength, last);
  take(last);
  WEFT_CHECK(choice.num_reasoning_tokens() <= choice.num_tokens());
  WEFT_CHECK(choice.stopped() == !finished.stop_string.empty());
  if (splits) return;  // where reasoning ends, white space goes

  text::StreamDecoder decoder(Tokenizer(), options.skip_special);
  std::string expected, tail;
  bool at_eos = false;
  for (const TokenId id : ids) {
    at_eos = ends_at_eos && id == Tokenizer()->eos_id();
    if (at_eos) break;
    decoder.Push(id, expected);
  }
  const auto stop = FirstStop(expected, options.stop);
  WEFT_CHECK(stop.has_value() == choice.stopped());
  if (stop) {
    expected.resize(options.include_stop ? stop->second : stop->first);
  } else {
    if (at_eos && options.include_stop) decoder.Push(Tokenizer()->eos_id(), expected);
    decoder.Finish(expected);
  }
  WEFT_CHECK(content == expected);
  WEFT_CHECK(reasoning.empty());

  // The decoder itself: all at once is the same.
  std::vector<TokenId> known;
  for (const TokenId id : ids) {
    if (id < Tokenizer()->vocab_size()) known.push_back(id);
  }
  text::StreamDecoder all(Tokenizer(), options.skip_special);
  std::string streamed;
  for (const TokenId id : known) all.Push(id, streamed);
  all.Finish(streamed);
  WEFT_CHECK(streamed == *Tokenizer()->Decode(known, options.skip_special));
}

}  // namespace
}  // namespace weft::gateway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::gateway::Run(weft::fuzz::Input(data, size));
  return 0;
}
