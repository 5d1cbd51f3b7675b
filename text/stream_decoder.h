// Tokens of one stream to text, as they come: never half a character, never the
// whole text again. A byte-level vocabulary makes this exact: each token is a
// fixed run of bytes, and only an unfinished character is held back.
//
// Not thread-safe; cheap to make, one per choice.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace weft::text {

class StreamDecoder {
 public:
  StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special);

  // Appends to `out` the text that `id` completes: nothing while a character is
  // unfinished. Bytes that can no longer become UTF-8 come out as U+FFFD.
  void Push(TokenId id, std::string& out);

  // At the end of the stream: an unfinished character comes out as U+FFFD.
  void Finish(std::string& out);

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  Utf8Repair repair_;
};

}  // namespace weft::text
