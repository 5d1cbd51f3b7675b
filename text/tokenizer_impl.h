// What Tokenizer keeps, for the classes beside it.
#pragma once

#include <string>

#include "text/rust.h"
#include "text/tokenizer.h"

namespace weft::text {

struct Tokenizer::Impl {
  RustTokenizer rust;
  ffi::TokenTable table{};  // points into `rust`
  TokenId bos_id = -1;
  TokenId eos_id = -1;
  bool add_bos = false;
  std::string fingerprint;
};

}  // namespace weft::text
