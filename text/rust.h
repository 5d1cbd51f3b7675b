// The Rust library's buffers and codes as C++ values. For text/*.cc only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "text/tokenizer.h"
#include "weft_text_ffi.h"

namespace weft::text {

inline ffi::Slice ToSlice(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// A buffer of the library's, freed with its owner.
class RustText {
 public:
  RustText() = default;
  RustText(const RustText&) = delete;
  RustText& operator=(const RustText&) = delete;
  ~RustText() {
    if (text_.data != nullptr) ffi::weft_text_free(text_);
  }
  ffi::Text* out() { return &text_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(text_.data), text_.size}; }
  std::string ToString() const { return std::string(view()); }

 private:
  ffi::Text text_{};
};

class RustIds {
 public:
  RustIds() = default;
  RustIds(const RustIds&) = delete;
  RustIds& operator=(const RustIds&) = delete;
  ~RustIds() {
    if (ids_.data != nullptr) ffi::weft_text_free_ids(ids_);
  }
  ffi::Ids* out() { return &ids_; }
  std::vector<TokenId> ToVector() const { return {ids_.data, ids_.data + ids_.size}; }

 private:
  ffi::Ids ids_{};
};

struct RustFree {
  void operator()(ffi::Tokenizer* tokenizer) const { ffi::weft_text_tokenizer_free(tokenizer); }
  void operator()(ffi::Template* chat) const { ffi::weft_text_template_free(chat); }
  void operator()(ffi::GrammarCompiler* compiler) const {
    ffi::weft_text_grammar_compiler_free(compiler);
  }
  void operator()(ffi::GrammarPosition* position) const {
    ffi::weft_text_grammar_position_free(position);
  }
};
using RustTokenizer = std::unique_ptr<ffi::Tokenizer, RustFree>;
using RustTemplate = std::unique_ptr<ffi::Template, RustFree>;
using RustGrammarCompiler = std::unique_ptr<ffi::GrammarCompiler, RustFree>;
using RustGrammarPosition = std::unique_ptr<ffi::GrammarPosition, RustFree>;

inline absl::Status ToStatus(ffi::Code code, const RustText& error) {
  switch (code) {
    case ffi::Code::Ok:
      return absl::OkStatus();
    case ffi::Code::InvalidArgument:
      return absl::InvalidArgumentError(error.ToString());
    case ffi::Code::Internal:
      break;
  }
  return absl::InternalError(absl::StrCat("text library: ", error.ToString()));
}

}  // namespace weft::text
