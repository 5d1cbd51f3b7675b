#include "cli/bench/answer_check.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "sim/step_time.h"

namespace weft::bench {
namespace {

// Some of a text from where it differs.
std::string Excerpt(std::string_view text, size_t from) {
  constexpr size_t kShown = 24;
  return std::string(text.substr(std::min(from, text.size()), kShown));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const AnswerCheck>> AnswerCheck::Load(const std::string& model_dir) {
  auto tokenizer = text::Tokenizer::Load(model_dir);
  if (!tokenizer.ok()) return tokenizer.status();
  return std::shared_ptr<const AnswerCheck>(new AnswerCheck(*std::move(tokenizer)));
}

absl::Status AnswerCheck::Check(int64_t index, int num_asked_tokens, std::string_view text,
                                int64_t num_tokens) const {
  if (num_tokens != num_asked_tokens) {
    return absl::DataLossError(absl::StrFormat("request %d: %d tokens instead of %d", index,
                                               num_tokens, num_asked_tokens));
  }
  std::vector<text::TokenId> tokens(static_cast<size_t>(num_asked_tokens));
  const auto seed = static_cast<uint64_t>(SeedOf(index));
  for (int i = 0; i < num_asked_tokens; ++i) {
    tokens[static_cast<size_t>(i)] = sim::SimulatedToken(0, seed, i, tokenizer_->vocab_size());
  }
  const auto expected = tokenizer_->Decode(tokens, /*skip_special=*/true);
  if (!expected.ok()) return expected.status();
  if (text == *expected) return absl::OkStatus();
  const auto [at, unused] =
      std::mismatch(text.begin(), text.end(), expected->begin(), expected->end());
  const auto offset = static_cast<size_t>(at - text.begin());
  return absl::DataLossError(absl::StrFormat("request %d: from byte %d on \"%s\" instead of \"%s\"",
                                             index, offset, Excerpt(text, offset),
                                             Excerpt(*expected, offset)));
}

}  // namespace weft::bench
