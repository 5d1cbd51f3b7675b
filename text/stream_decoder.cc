#include "text/stream_decoder.h"

#include <utility>

namespace weft::text {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

void StreamDecoder::Push(TokenId id, std::string& out) {
  if (skip_special_ && tokenizer_->IsSpecial(id)) return;
  repair_.Push(tokenizer_->TokenBytes(id), out);
}

void StreamDecoder::Finish(std::string& out) { repair_.Finish(out); }

}  // namespace weft::text
