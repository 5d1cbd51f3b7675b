#include "cli/bench/answer_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/step_time.h"
#include "text/test_models.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;

class AnswerCheckTest : public ::testing::Test {
 protected:
  static constexpr int kNumTokens = 40;

  std::string Answer(int index, int shift = 0) const {
    std::vector<text::TokenId> tokens;
    for (int i = 0; i < kNumTokens; ++i) {
      tokens.push_back(sim::SimulatedToken(0, static_cast<uint64_t>(AnswerCheck::SeedOf(index)),
                                           i + shift, tokenizer_->vocab_size()));
    }
    return tokenizer_->Decode(tokens, /*skip_special=*/true).value();
  }

  text::TinyModel model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_ = text::Tokenizer::Load(model_.dir()).value();
  std::shared_ptr<const AnswerCheck> check_ = AnswerCheck::Load(model_.dir()).value();
};

TEST_F(AnswerCheckTest, TakesTheOneRightAnswer) {
  EXPECT_TRUE(check_->Check(7, kNumTokens, Answer(7), kNumTokens).ok());
}

TEST_F(AnswerCheckTest, RefusesAnothersAndALostToken) {
  const absl::Status others = check_->Check(7, kNumTokens, Answer(8), kNumTokens);
  EXPECT_THAT(std::string(others.message()), HasSubstr("request 7: from byte "));
  EXPECT_FALSE(check_->Check(7, kNumTokens, Answer(7, /*shift=*/1), kNumTokens).ok());
  EXPECT_FALSE(check_->Check(7, kNumTokens, Answer(7) + "a", kNumTokens).ok());
  EXPECT_EQ(check_->Check(7, kNumTokens, Answer(7), kNumTokens - 1).message(),
            "request 7: 39 tokens instead of 40");
}

TEST_F(AnswerCheckTest, AFolderWithoutATokenizerIsNamed) {
  const auto none = AnswerCheck::Load("/missing");
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("/missing"));
}

}  // namespace
}  // namespace weft::bench
