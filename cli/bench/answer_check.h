// Holds answers to what they must be. A simulated worker's tokens are a function of the
// request's seed and their place (sim/step_time.h), so a client that knows the tokenizer
// knows the whole text: one token lost, repeated or altered on its way is noticed.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "text/tokenizer.h"

namespace weft::bench {

class AnswerCheck {
 public:
  // `model_dir` is the folder that the worker and the gateway were given. Errors name the
  // folder's file that is missing or broken.
  static absl::StatusOr<std::shared_ptr<const AnswerCheck>> Load(const std::string& model_dir);

  // The seed that request `index` has to be sent with.
  static int64_t SeedOf(int64_t index) { return index + 1; }

  // OK, or where the answer to request `index` goes wrong, which asked for `num_asked_tokens`.
  absl::Status Check(int64_t index, int num_asked_tokens, std::string_view text,
                     int64_t num_tokens) const;

 private:
  explicit AnswerCheck(std::shared_ptr<const text::Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}

  const std::shared_ptr<const text::Tokenizer> tokenizer_;
};

}  // namespace weft::bench
