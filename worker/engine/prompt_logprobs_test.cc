#include "worker/engine/prompt_logprobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

// Natural logarithms of 1/2, 1/4, 1/8, 1/8.
const std::vector<float> kRow = {std::log(0.125f), std::log(0.5f), std::log(0.125f),
                                 std::log(0.25f)};

TEST(PromptLogprobs, OneTokenItsRankAndTheTop) {
  PromptLogprobs out = MakePromptLogprobs(1, 2, 2, 4);
  ASSERT_TRUE(FillPromptLogprob(kRow, 3, 0, out));
  ASSERT_TRUE(FillPromptLogprob(kRow, 0, 1, out));
  EXPECT_EQ(out.size(), 2);
  EXPECT_THAT(out.logprobs,
              ElementsAre(FloatNear(std::log(0.25f), 1e-6f), FloatNear(std::log(0.125f), 1e-6f)));
  EXPECT_THAT(out.ranks, ElementsAre(2, 3));
  EXPECT_THAT(out.top_tokens, ElementsAre(1, 3, 1, 3));
  EXPECT_THAT(out.top_logprobs[0], FloatNear(std::log(0.5f), 1e-6f));
}

TEST(PromptLogprobs, OfEqualsTheLowerIdIsBetter) {
  PromptLogprobs out = MakePromptLogprobs(1, 1, 4, 4);
  ASSERT_TRUE(FillPromptLogprob(kRow, 2, 0, out));
  EXPECT_THAT(out.ranks, ElementsAre(4));
  EXPECT_THAT(out.top_tokens, ElementsAre(1, 3, 0, 2));
}

TEST(PromptLogprobs, NoMoreAlternativesThanIds) {
  EXPECT_EQ(MakePromptLogprobs(1, 1, 20, 4).num_top, 4);
  EXPECT_TRUE(MakePromptLogprobs(1, 3, 0, 4).top_tokens.empty());
}

TEST(PromptLogprobs, LargeLogitsDoNotOverflow) {
  const std::vector<float> row = {1e4f, 1e4f, -1e4f};
  PromptLogprobs out = MakePromptLogprobs(1, 1, 1, 3);
  ASSERT_TRUE(FillPromptLogprob(row, 1, 0, out));
  EXPECT_THAT(out.logprobs, ElementsAre(FloatNear(std::log(0.5f), 1e-3f)));
}

TEST(PromptLogprobs, ARowThatIsNotFiniteIsTold) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> row = kRow;
    row[2] = bad;
    PromptLogprobs out = MakePromptLogprobs(1, 1, 1, 4);
    EXPECT_FALSE(FillPromptLogprob(row, 0, 0, out));
  }
}

}  // namespace
}  // namespace weft::worker
