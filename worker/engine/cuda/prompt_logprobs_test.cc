#include "worker/engine/cuda/prompt_logprobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "worker/engine/cuda/pinned_memory.h"
#include "worker/engine/prompt_logprobs.h"
#include "worker/ops/cuda/testing.h"

namespace weft::worker {
namespace {

using ops::cuda::DeviceValues;

struct Case {
  int num_rows, vocab_size, vocab_stride;
  bool has_ties;
};

class CudaPromptLogprobs : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!ops::cuda::HasGpu()) GTEST_SKIP() << "no GPU";
  }
};

INSTANTIATE_TEST_SUITE_P(, CudaPromptLogprobs,
                         ::testing::Values(Case{1, 3, 3, false}, Case{7, 211, 256, false},
                                           Case{40, 1000, 1000, true},
                                           Case{3, 151643, 151936, false}));

TEST_P(CudaPromptLogprobs, AreTheReferences) {
  const Case c = GetParam();
  std::mt19937 random(17);
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> logits(c.num_rows * c.vocab_stride);
  for (float& x : logits) x = c.has_ties ? std::round(normal(random)) : normal(random);
  std::vector<int32_t> targets, num_tops;
  for (int row = 0; row < c.num_rows; ++row) {
    // What lies past the vocabulary must not count, whatever it is.
    for (int id = c.vocab_size; id < c.vocab_stride; ++id) {
      logits[row * c.vocab_stride + id] = id % 2 == 0 ? 1e9f : NAN;
    }
    targets.push_back(static_cast<int32_t>(random() % c.vocab_size));
    num_tops.push_back(std::min<int32_t>(row * 3 % 21, c.vocab_size));
  }
  const int broken = c.num_rows > 2 ? 2 : -1;
  if (broken >= 0) logits[broken * c.vocab_stride + c.vocab_size - 1] = INFINITY;

  const DeviceValues<float> device_logits(logits);
  const DeviceValues<int32_t> device_targets(targets), device_num_tops(num_tops);
  PinnedArray<PromptAnswer> answers(c.num_rows);
  ASSERT_EQ(FindPromptLogprobs({.logits = device_logits.data(),
                                .vocab_stride = c.vocab_stride,
                                .vocab_size = c.vocab_size,
                                .num_rows = c.num_rows,
                                .targets = device_targets.data(),
                                .num_tops = device_num_tops.data(),
                                .answers = answers.data()},
                               nullptr),
            cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);

  for (int row = 0; row < c.num_rows; ++row) {
    SCOPED_TRACE(row);
    const std::span<const float> known(&logits[row * c.vocab_stride], c.vocab_size);
    PromptLogprobs expected = MakePromptLogprobs(1, 1, num_tops[row], c.vocab_size);
    const bool is_finite = FillPromptLogprob(known, targets[row], 0, expected);
    const PromptAnswer& answer = answers.data()[row];
    ASSERT_EQ(answer.rank > 0, is_finite);
    EXPECT_EQ(is_finite, row != broken);
    if (!is_finite) continue;
    EXPECT_EQ(answer.rank, expected.ranks[0]);
    EXPECT_NEAR(answer.logprob, expected.logprobs[0], 1e-4);
    for (int k = 0; k < num_tops[row]; ++k) {
      EXPECT_EQ(answer.top_ids[k], expected.top_tokens[k]) << k;
      EXPECT_NEAR(answer.top_logprobs[k], expected.top_logprobs[k], 1e-4) << k;
    }
  }
}

}  // namespace
}  // namespace weft::worker
