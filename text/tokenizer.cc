#include "text/tokenizer.h"

#include <openssl/evp.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "text/model_files.h"
#include "text/rust.h"
#include "text/tokenizer_impl.h"

namespace weft::text {
namespace {

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
}

absl::StatusOr<TokenId> ConfiguredId(const Tokenizer& tokenizer, const char* key,
                                     const std::optional<std::string>& token) {
  if (!token) return -1;
  const TokenId id = tokenizer.TokenToId(*token);
  if (id < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " \"", *token, "\" is not in the vocabulary"));
  }
  return id;
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::Load(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer.json";
  auto json = ReadModelFile(path);
  if (!json.ok()) return json.status();
  auto config = ReadTokenizerConfig(model_dir);
  if (!config.ok()) return config.status();

  ffi::Tokenizer* rust = nullptr;
  RustText error;
  const ffi::Code code = ffi::weft_text_tokenizer_new(ToSlice(*json), &rust, error.out());
  if (absl::Status status = ToStatus(code, error); !status.ok()) return InFile(path, status);

  auto impl = std::make_unique<Impl>();
  impl->rust.reset(rust);
  impl->table = ffi::weft_text_token_table(rust);
  impl->add_bos = config->add_bos_token;
  impl->fingerprint = Sha256Hex(*json);
  Impl& loaded = *impl;
  std::shared_ptr<const Tokenizer> tokenizer(new Tokenizer(std::move(impl)));

  const std::string config_path = model_dir + "/tokenizer_config.json";
  auto bos = ConfiguredId(*tokenizer, "bos_token", config->bos_token);
  if (!bos.ok()) return InFile(config_path, bos.status());
  auto eos = ConfiguredId(*tokenizer, "eos_token", config->eos_token);
  if (!eos.ok()) return InFile(config_path, eos.status());
  loaded.bos_id = *bos;
  loaded.eos_id = *eos;
  return tokenizer;
}

absl::StatusOr<std::vector<TokenId>> Tokenizer::Encode(std::string_view text,
                                                       SpecialTokens mode) const {
  RustIds ids;
  RustText error;
  const ffi::Code code = ffi::weft_text_encode(
      impl_->rust.get(), ToSlice(text), mode == SpecialTokens::kParse, ids.out(), error.out());
  if (absl::Status status = ToStatus(code, error); !status.ok()) return status;
  return ids.ToVector();
}

absl::StatusOr<std::string> Tokenizer::Decode(std::span<const TokenId> ids,
                                              bool skip_special) const {
  for (TokenId id : ids) {
    if (id < 0 || id >= vocab_size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("token id ", id, " is not between 0 and ", vocab_size() - 1));
    }
  }
  RustText text;
  RustText error;
  const ffi::Code code = ffi::weft_text_decode(impl_->rust.get(), ids.data(), ids.size(),
                                               skip_special, text.out(), error.out());
  if (absl::Status status = ToStatus(code, error); !status.ok()) return status;
  return text.ToString();
}

std::string_view Tokenizer::TokenBytes(TokenId id) const {
  if (id < 0 || id >= vocab_size()) return {};
  const ffi::TokenTable& table = impl_->table;
  const uint32_t begin = table.offsets[id];
  return {reinterpret_cast<const char*>(table.bytes) + begin, table.offsets[id + 1] - begin};
}

bool Tokenizer::IsSpecial(TokenId id) const {
  return id >= 0 && id < vocab_size() && impl_->table.special[id] != 0;
}

TokenId Tokenizer::TokenToId(std::string_view token) const {
  return ffi::weft_text_token_to_id(impl_->rust.get(), ToSlice(token));
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->table.num_ids); }
TokenId Tokenizer::bos_id() const { return impl_->bos_id; }
TokenId Tokenizer::eos_id() const { return impl_->eos_id; }
bool Tokenizer::add_bos() const { return impl_->add_bos; }
const std::string& Tokenizer::fingerprint() const { return impl_->fingerprint; }

}  // namespace weft::text
