// Which token may come next, so that an answer follows a grammar: llguidance over a
// model's vocabulary. The gateway compiles a client's grammar to see whether it can be;
// the worker follows it token by token.
//
//   auto compiler = GrammarCompiler::Start(tokenizer);
//   auto position = compiler->Compile(grammar);        // the answer's start
//   position->Mask(words);                             // what may be sampled
//   position->Consume(token);                          // what was
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/grammar.h"
#include "text/tokenizer.h"

namespace weft::text {

// A place in an answer. One thread at a time.
class GrammarPosition {
 public:
  GrammarPosition(GrammarPosition&&) noexcept;
  GrammarPosition& operator=(GrammarPosition&&) noexcept;
  ~GrammarPosition();

  // Moves on behind a token. Once the answer is complete, tokens are no part of it and
  // change nothing. InvalidArgument: the token breaks the grammar, or to follow it takes
  // more than is allowed; the position is of no use from then on.
  absl::Status Consume(TokenId token);

  // Sets bit i % 32 of words[i / 32] if token i may come next, and clears the others;
  // `words` holds (vocabulary + 31) / 32. True: the answer may end here (the tokenizer's
  // end-of-text id is then in the mask; when it must end, nothing else is).
  // InvalidArgument as above.
  absl::StatusOr<bool> Mask(std::span<uint32_t> words);

 private:
  friend class GrammarCompiler;
  struct Impl;
  explicit GrammarPosition(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Thread safety: every method may be called from any thread at once.
class GrammarCompiler {
 public:
  // Makes the vocabulary ready in the background, which takes about a second for 150,000
  // tokens; Compile waits for it.
  static std::shared_ptr<GrammarCompiler> Start(std::shared_ptr<const Tokenizer> tokenizer);
  ~GrammarCompiler();

  // The start of an answer. Behind a token (grammar.after_token), one or two line breaks
  // may come first, as models write them behind their reasoning. A grammar that was asked
  // for lately is not compiled again. InvalidArgument: it cannot be compiled, takes too
  // much, or nothing can be said under it; the message says what is wrong, for the client.
  absl::StatusOr<GrammarPosition> Compile(const Grammar& grammar);

 private:
  struct Impl;
  explicit GrammarCompiler(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace weft::text
