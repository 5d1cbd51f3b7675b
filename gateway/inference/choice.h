// One choice from tokens to what a client reads: decoding, stop strings, the
// split into reasoning and content, logprobs beside the text they belong to. Does
// no I/O and knows no thread.
//
// Stop strings are looked for in the raw text, as vLLM does: in the reasoning
// too, and across its tags. Text is held back while it may become one. A stop
// token has no text (unless include_stop asks for it) and no logprobs, but counts
// as a token.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/inference/event.h"
#include "gateway/inference/reasoning.h"
#include "gateway/inference/stop_matcher.h"
#include "gateway/inference/tool_parser.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace weft::gateway {

// The tokens around reasoning; -1 where the tokenizer has none.
struct ReasoningTags {
  text::TokenId open = -1;
  text::TokenId close = -1;
};

struct ChoiceOptions {
  int index = 0;
  std::vector<std::string> stop;
  std::vector<text::TokenId> eos_token_ids;   // end the choice without a word
  std::vector<text::TokenId> stop_token_ids;  // the client's: named in the end
  bool include_stop = false;                  // what stops the choice stays in its text
  bool skip_special = true;
  bool return_token_ids = false;
  int min_tokens = 0;  // no stop string counts before
  std::optional<ReasoningTags> split_reasoning;
  bool starts_in_reasoning = false;
  std::optional<ToolParserOptions> tools;  // look for calls of these
};

class Choice {
 public:
  Choice(ChoiceOptions options, std::shared_ptr<const text::Tokenizer> tokenizer);

  // Appends to `delta` what the token completes; `logprob` goes along if given.
  // After the choice has ended (a stop string, a stop token) it does nothing.
  void Push(text::TokenId id, std::optional<TokenLogprob> logprob, Delta& delta);

  // A stop string has ended it, or a call where only one may be: of its tokens,
  // num_tokens() are kept.
  bool stopped() const { return !stop_string_.empty() || (tools_ && tools_->is_done()); }

  // No more tokens come. Appends what was held back, and says how the choice
  // ended: as its own text or tokens tell, else for the scheduler's `reason`. Once.
  ChoiceFinished Finish(FinishReason reason, Delta& delta);

  int num_tokens() const { return num_tokens_; }
  int num_reasoning_tokens() const { return num_reasoning_tokens_; }

 private:
  // Where a tag stands in the raw text.
  struct Tag {
    size_t begin = 0;
    size_t end = 0;
    bool opens = false;
  };
  struct PendingToken {
    size_t begin = 0;  // of its text in the raw text
    size_t end = 0;
    std::optional<TokenLogprob> logprob;
  };

  bool IsStopToken(text::TokenId id) const;
  void NoteTag(text::TokenId id, size_t begin, size_t end);
  void Release(size_t end, Delta& delta);
  void ReleaseTokens(size_t end, Delta& delta);
  // What the splitter has made of text, on its way through the tools.
  void Pass(Delta& split, Delta& delta);

  const ChoiceOptions options_;
  const std::shared_ptr<const text::Tokenizer> tokenizer_;
  text::StreamDecoder decoder_;
  StopMatcher matcher_;
  ReasoningSplitter splitter_;
  std::optional<ToolParser> tools_;

  std::string held_;  // raw text from num_released_ on
  size_t num_released_ = 0;
  std::deque<Tag> tags_;
  std::deque<PendingToken> pending_tokens_;

  int num_tokens_ = 0;
  int num_reasoning_tokens_ = 0;
  bool in_reasoning_ = false;
  bool may_open_ = false;  // nothing but white space so far, and no tag
  std::string stop_string_;
  text::TokenId stop_token_ = -1;
};

}  // namespace weft::gateway
