// Text to token ids and back, as the model directory's tokenizer.json says.
//
// Thread safety: every const method may be called from any thread at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::text {

using TokenId = int32_t;

// Whether "<|im_end|>" in the text is one control token or eleven characters.
// What a user wrote is always kAsText.
enum class SpecialTokens { kParse, kAsText };

class Tokenizer {
 public:
  // Reads tokenizer.json and tokenizer_config.json of `model_dir`. Only byte-level
  // BPE is taken. NotFound for a missing file, InvalidArgument for a broken one;
  // errors name the file and what is wrong with it.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& model_dir);
  ~Tokenizer();

  // Adds no BOS and no other special token of its own. `text` must be UTF-8 of at
  // most 8 MiB; anything else is InvalidArgument. Time is linear: half a second
  // per megabyte of prose, one at worst.
  absl::StatusOr<std::vector<TokenId>> Encode(std::string_view text, SpecialTokens mode) const;

  // Ids out of range are InvalidArgument. Bytes that are no UTF-8 become U+FFFD,
  // as in Hugging Face's decode.
  absl::StatusOr<std::string> Decode(std::span<const TokenId> ids, bool skip_special) const;

  // The exact bytes a token stands for ("Ġthe" is " the"); empty for an id that
  // the vocabulary does not hold. A control token's bytes are its name.
  std::string_view TokenBytes(TokenId id) const;

  // Special tokens are left out by skip_special. R1's <think> is an added token
  // that is not special.
  bool IsSpecial(TokenId id) const;

  // The id of an added or vocabulary token by its literal text; -1 if none.
  TokenId TokenToId(std::string_view token) const;

  // One past the last id the tokenizer knows. Models pad their embedding beyond
  // it; those rows are never sampled.
  int32_t vocab_size() const;

  // -1 where the configuration names none. From tokenizer_config.json: R1's
  // config.json calls its EOS "bos".
  TokenId bos_id() const;
  TokenId eos_id() const;
  bool add_bos() const;  // tokenizer_config's add_bos_token: plain completions start with BOS

  // Hex SHA-256 of tokenizer.json; part of a worker's fingerprint.
  const std::string& fingerprint() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  friend class ChatTemplate;
  friend class GrammarCompiler;
  friend class StreamDecoder;
};

}  // namespace weft::text
