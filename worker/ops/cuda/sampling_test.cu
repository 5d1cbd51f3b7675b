// The reference is worker/engine/sampler.cc. A drawn token may differ from its where
// the noise falls within kBorder of the border between two tokens: rarely, and then it
// is the neighbour.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "worker/engine/sampler.h"
#include "worker/ops/cuda/sampling.h"
#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr double kBorder = 1e-5;
constexpr int kTokenStride = 96;

// How rows are sampled: as Sample does on this device, or by one block each.
using Sampler = cudaError_t (*)(const SampleArgs&, cudaStream_t);

cudaError_t SampleOnDevice(const SampleArgs& args, cudaStream_t stream) {
  return Sample(args, CurrentDevice(), stream);
}

void Check(cudaError_t error) { ASSERT_EQ(error, cudaSuccess) << cudaGetErrorString(error); }

template <class T>
class Shared {  // memory of host and device
 public:
  explicit Shared(size_t size) : size_(size) {
    Check(cudaMallocManaged(&data_, std::max<size_t>(size, 1) * sizeof(T)));
    std::fill(data_, data_ + size, T{});
  }
  Shared(const Shared&) = delete;
  ~Shared() { cudaFree(data_); }
  T* data() { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_;
};

// One sequence, whose row the kernel samples.
struct Sequence {
  SamplingParams params;
  std::vector<TokenId> tokens = {0};
  int num_prompt_tokens = 1;
  std::vector<float> logits;
  std::vector<bool> allowed;  // by the grammar; empty: all
};

SlotSampling ToSlot(const Sequence& s) {
  const SamplingParams& p = s.params;
  SlotSampling slot;
  slot.temperature = p.temperature;
  slot.top_p = p.top_p;
  slot.min_p = p.min_p;
  slot.repetition_penalty = p.repetition_penalty;
  slot.presence_penalty = p.presence_penalty;
  slot.frequency_penalty = p.frequency_penalty;
  slot.seed = p.seed;
  slot.top_k = p.top_k;
  slot.min_tokens = p.min_tokens;
  slot.num_prompt_tokens = s.num_prompt_tokens;
  slot.num_logprobs = p.num_logprobs.value_or(-1);
  slot.num_bias = static_cast<int32_t>(p.logit_bias.size());
  slot.num_stop_ids = static_cast<int32_t>(p.stop_token_ids.size());
  std::copy(p.stop_token_ids.begin(), p.stop_token_ids.end(), slot.stop_ids);
  return slot;
}

// Rows in reverse order of slots, every third one padding; a step in the ring's second
// round.
std::vector<SampledRow> RunSample(Sampler sample, std::vector<Sequence>& sequences, int vocab_size,
                                  int vocab_stride) {
  const int num_slots = static_cast<int>(sequences.size());
  const int num_rows = num_slots + num_slots / 2;
  const int mask_stride = (vocab_size + 31) / 32;
  constexpr int kRingSteps = 3;
  Shared<float> logits(static_cast<size_t>(num_rows) * vocab_stride);
  Shared<int32_t> row_slots(num_rows), tokens(num_slots * kTokenStride), num_tokens(num_slots);
  Shared<SlotSampling> slots(num_slots);
  Shared<int32_t> bias_ids(num_slots * kMaxBiasEntries);
  Shared<float> bias_values(num_slots * kMaxBiasEntries);
  Shared<uint32_t> masks(kRingSteps * static_cast<size_t>(num_rows) * mask_stride);
  Shared<uint64_t> mask_ready(kRingSteps * num_rows);
  Shared<SampledRow> ring(kRingSteps * num_rows);
  Shared<uint64_t> step(1);
  step[0] = kRingSteps + 1;
  std::vector<int> row_of(num_slots);
  // What the model leaves past the last id must not matter.
  std::fill(logits.data(), logits.data() + logits.size(), NAN);
  std::fill(masks.data(), masks.data() + masks.size(), 0);
  std::fill(mask_ready.data(), mask_ready.data() + mask_ready.size(), 0);
  for (int row = 0, next = num_slots - 1; row < num_rows; ++row) {
    row_slots[row] = row % 3 == 1 || next < 0 ? -1 : next--;
    const int slot = row_slots[row];
    if (slot < 0) continue;
    const Sequence& s = sequences[slot];
    row_of[slot] = row;
    std::copy(s.logits.begin(), s.logits.end(),
              logits.data() + static_cast<size_t>(row) * vocab_stride);
    std::copy(s.tokens.begin(), s.tokens.end(), tokens.data() + slot * kTokenStride);
    num_tokens[slot] = static_cast<int32_t>(s.tokens.size());
    slots[slot] = ToSlot(s);
    for (size_t i = 0; i < s.params.logit_bias.size(); ++i) {
      bias_ids[slot * kMaxBiasEntries + i] = s.params.logit_bias[i].first;
      bias_values[slot * kMaxBiasEntries + i] = s.params.logit_bias[i].second;
    }
    const size_t place = num_rows + row;  // step 4 of 3: the second place
    for (size_t i = 0; i < s.allowed.size(); ++i) {
      slots[slot].has_mask = 1;
      mask_ready[place] = step[0] + 1;
      if (s.allowed[i]) masks[place * mask_stride + i / 32] |= 1u << i % 32;
    }
  }
  Check(PrepareSampling(CurrentDevice()));
  SampleArgs args;
  args.logits = logits.data();
  args.vocab_stride = vocab_stride;
  args.vocab_size = vocab_size;
  args.num_rows = num_rows;
  args.row_slots = row_slots.data();
  args.slots = slots.data();
  args.bias_ids = bias_ids.data();
  args.bias_values = bias_values.data();
  args.tokens = tokens.data();
  args.token_stride = kTokenStride;
  args.num_tokens = num_tokens.data();
  args.masks = masks.data();
  args.mask_stride = mask_stride;
  args.mask_ready = mask_ready.data();
  args.ring = ring.data();
  args.ring_steps = kRingSteps;
  args.rows_per_step = num_rows;
  args.step = step.data();
  Check(sample(args, nullptr));
  Check(cudaDeviceSynchronize());
  std::vector<SampledRow> results;
  for (int slot = 0; slot < num_slots; ++slot) {
    results.push_back(ring[num_rows + row_of[slot]]);
    Sequence& s = sequences[slot];
    EXPECT_EQ(num_tokens[slot], static_cast<int>(s.tokens.size()) + 1);
    s.tokens.push_back(tokens[slot * kTokenStride + s.tokens.size()]);
    EXPECT_EQ(s.tokens.back(), std::max(results.back().token, 0));
  }
  return results;
}

// What the reference sees: the row, and a logit too low for anything where the grammar
// does not allow the id.
RowResult Reference(const Sequence& s, std::vector<float>& adjusted) {
  adjusted = s.logits;
  for (size_t i = 0; i < s.allowed.size(); ++i) {
    if (!s.allowed[i]) adjusted[i] = -1e30f;
  }
  const SamplingState state(s.params, s.tokens, s.num_prompt_tokens);
  std::vector<float> row = adjusted;
  return SampleRow(state, row);
}

// How far the noise is from the border between two tokens, if one is the other's
// neighbour among those kept; else 1. For rows that nothing adjusts.
double DistanceFromBorder(const Sequence& s, const std::vector<float>& logits, TokenId a,
                          TokenId b) {
  const SamplingParams& p = s.params;
  const float best = *std::max_element(logits.begin(), logits.end());
  std::vector<float> distances;
  for (float x : logits) distances.push_back(best - x);
  auto weight = [&](float d) { return std::exp(-double{d} / p.temperature); };
  std::vector<float> left = distances;
  std::sort(left.begin(), left.end());
  if (p.top_k > 0 && p.top_k < static_cast<int>(left.size())) {
    left.erase(std::upper_bound(left.begin(), left.end(), left[p.top_k - 1]), left.end());
  }
  double total = 0, mass = 0;
  for (float d : left) total += weight(d);
  float cut = left.back();
  for (size_t i = 0; p.top_p < 1 && i < left.size(); ++i) {
    mass += weight(left[i]);
    if (mass < p.top_p * total) continue;
    cut = left[i];
    break;
  }
  auto kept = [&](float d) { return d <= cut && weight(d) >= p.min_p ? weight(d) : 0; };
  double sum = 0, passed = 0, border = 0;
  for (float d : distances) sum += kept(d);
  const TokenId first = std::min(a, b), last = std::max(a, b);
  for (TokenId i = 0; i <= first; ++i) passed += kept(distances[i]);
  border = passed / sum;
  for (TokenId i = first + 1; i < last; ++i) {
    if (kept(distances[i]) / sum > kBorder) return 1;
  }
  const double noise = SamplingNoise(p.seed, s.tokens.size() - s.num_prompt_tokens);
  return std::abs(noise - border);
}

// Runs the sequences and compares with the reference; counts tokens that differ.
struct Comparison {
  int num_rows = 0;
  int num_other = 0;
};

void ExpectSameLogprobs(const SampledRow& row, const TokenLogprobs& expected, bool same_token) {
  if (same_token) EXPECT_NEAR(row.logprob, expected.logprob, 1e-4);
  int n = static_cast<int>(expected.top_tokens.size());
  while (n > 0 && expected.top_logprobs[n - 1] < -1e28f) --n;  // not allowed
  ASSERT_EQ(row.num_top, n);
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(row.top_ids[i], expected.top_tokens[i]);
    EXPECT_NEAR(row.top_logprobs[i], expected.top_logprobs[i], 1e-4);
  }
}

void Compare(Sampler sample, std::vector<Sequence> sequences, int vocab_size, int vocab_stride,
             Comparison& comparison) {
  const std::vector<Sequence> before = sequences;
  const std::vector<SampledRow> rows = RunSample(sample, sequences, vocab_size, vocab_stride);
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE("row " + std::to_string(i));
    std::vector<float> adjusted;
    const RowResult expected = Reference(before[i], adjusted);
    ++comparison.num_rows;
    ASSERT_EQ(expected.status, RowStatus::kOk);
    const bool same = rows[i].token == expected.tokens[0];
    if (!same) {
      ++comparison.num_other;
      ASSERT_GE(rows[i].token, 0);
      ASSERT_LT(rows[i].token, vocab_size);
      EXPECT_LT(DistanceFromBorder(before[i], adjusted, rows[i].token, expected.tokens[0]), kBorder)
          << rows[i].token << " for " << expected.tokens[0];
    }
    if (before[i].params.num_logprobs) {
      ExpectSameLogprobs(rows[i], expected.logprobs[0], same);
    } else {
      EXPECT_EQ(rows[i].num_top, 0);
    }
  }
}

struct Shape {
  int vocab_size, vocab_stride;
};
// The model's; not a multiple of anything; less than one warp's vectors; tiny.
const Shape kShapes[] = {{151'665, 151'936}, {32'003, 32'003}, {1'003, 1'008}, {37, 37}, {5, 8}};

// Few tokens of weight over a bulk of light ones, as a model's; or no token of weight.
std::vector<float> RandomLogits(std::mt19937& random, int vocab_size, bool peaked) {
  std::normal_distribution<float> bulk(0, peaked ? 2.5f : 0.7f), peak(15, 3);
  std::vector<float> logits(vocab_size);
  for (float& x : logits) x = bulk(random);
  for (int i = 0; peaked && i < 12; ++i) logits[random() % vocab_size] = peak(random);
  return logits;
}

std::vector<SamplingParams> Combinations() {
  std::vector<SamplingParams> all;
  for (float temperature : {0.0f, 0.3f, 1.0f, 1.7f}) {
    for (int top_k : {0, 1, 20, 500}) {
      for (float top_p : {1.0f, 0.3f, 0.95f, 0.9999f}) {
        for (float min_p : {0.0f, 0.05f}) {
          if (temperature == 0 && (top_k > 1 || top_p < 0.9f)) continue;
          SamplingParams p;
          p.temperature = temperature;
          p.top_k = top_k;
          p.top_p = top_p;
          p.min_p = min_p;
          all.push_back(p);
        }
      }
    }
  }
  return all;
}

class CudaSampling : public ::testing::TestWithParam<Sampler> {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "no GPU";
  }
};

TEST_P(CudaSampling, TokensAreTheReferences) {
  const uint32_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Comparison total;
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE("vocabulary " + std::to_string(shape.vocab_size));
    for (bool peaked : {true, false}) {
      std::vector<Sequence> sequences;
      for (SamplingParams p : Combinations()) {
        p.seed = random();
        if (random() % 3 == 0) p.num_logprobs = random() % 21;
        Sequence s = {.params = p, .logits = RandomLogits(random, shape.vocab_size, peaked)};
        s.tokens.resize(1 + random() % 20, 3);
        sequences.push_back(std::move(s));
      }
      Compare(GetParam(), std::move(sequences), shape.vocab_size, shape.vocab_stride, total);
    }
  }
  EXPECT_LE(total.num_other, total.num_rows / 200) << "of " << total.num_rows;
  RecordProperty("other_tokens", total.num_other);
}

// Logits rounded coarsely: ties at every cut, and more of them than any bucket holds apart.
TEST_P(CudaSampling, TiesAreKeptTogether) {
  std::mt19937 random(12);
  Comparison total;
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE("vocabulary " + std::to_string(shape.vocab_size));
    std::vector<Sequence> sequences;
    for (SamplingParams p : Combinations()) {
      p.seed = random();
      if (random() % 3 == 0) p.num_logprobs = 5;
      Sequence s = {.params = p, .logits = RandomLogits(random, shape.vocab_size, true)};
      const float step = sequences.size() % 2 ? 0.5f : 100.0f;  // the latter: nearly all one
      for (float& x : s.logits) x = std::round(x / step) * step;
      sequences.push_back(std::move(s));
    }
    Compare(GetParam(), std::move(sequences), shape.vocab_size, shape.vocab_stride, total);
  }
  EXPECT_LE(total.num_other, total.num_rows / 200) << "of " << total.num_rows;
}

// Cuts where the first histogram cannot see them: far from the best, or all together
// near it.
TEST_P(CudaSampling, CutsMayLieAnywhere) {
  std::mt19937 random(13);
  Comparison total;
  const Shape shape = {32'003, 32'003};
  std::vector<Sequence> sequences;
  for (float scale : {1e-30f, 1e-6f, 1e-3f, 20.0f, 1e4f}) {
    for (SamplingParams p : Combinations()) {
      p.seed = random();
      if (random() % 2) p.top_k = 20'000;
      Sequence s = {.params = p, .logits = RandomLogits(random, shape.vocab_size, false)};
      for (float& x : s.logits) x *= scale;
      sequences.push_back(std::move(s));
    }
  }
  Compare(GetParam(), std::move(sequences), shape.vocab_size, shape.vocab_stride, total);
  EXPECT_LE(total.num_other, total.num_rows / 200) << "of " << total.num_rows;
}

// Greedy, so that a token tells the adjusted logits apart, and all logprobs that fit.
TEST_P(CudaSampling, AdjustmentsAreTheReferences) {
  std::mt19937 random(14);
  Comparison total;
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE("vocabulary " + std::to_string(shape.vocab_size));
    std::vector<Sequence> sequences;
    for (int i = 0; i < 128; ++i) {
      Sequence s = {.logits = RandomLogits(random, shape.vocab_size, i % 2)};
      SamplingParams& p = s.params;
      p.seed = random();
      p.num_logprobs = 20;
      p.temperature = i % 3 == 0 ? 1 : 0;
      if (i & 1) p.repetition_penalty = 1.3f;
      if (i & 2) p.presence_penalty = 0.7f;
      if (i & 4) p.frequency_penalty = -0.9f;
      // Few different ids, the best ones among them.
      const auto best = std::max_element(s.logits.begin(), s.logits.end()) - s.logits.begin();
      s.tokens.clear();
      for (unsigned t = 0; t < 1 + random() % 90; ++t) {
        s.tokens.push_back(random() % 4 ? random() % std::min(shape.vocab_size, 30) : best);
      }
      s.num_prompt_tokens = 1 + random() % s.tokens.size();
      if (i & 8) {
        for (int b = 0; b < shape.vocab_size && b < 1024; b += 3) {
          p.logit_bias.emplace_back(shape.vocab_size - 1 - b, random() % 200 / 10.0f - 10);
        }
      }
      if (i & 16) {
        p.min_tokens = 30;
        p.stop_token_ids = {static_cast<TokenId>(best), (static_cast<TokenId>(best) + 1) % 5};
        if (p.stop_token_ids[0] == p.stop_token_ids[1]) p.stop_token_ids.pop_back();
      }
      if (i & 32) {
        for (int id = 0; id < shape.vocab_size; ++id) s.allowed.push_back(random() % 2);
        // Sure to have one besides the stop tokens.
        s.allowed[0] = s.allowed[1] = s.allowed[2] = true;
      }
      sequences.push_back(std::move(s));
    }
    Compare(GetParam(), std::move(sequences), shape.vocab_size, shape.vocab_stride, total);
  }
  EXPECT_LE(total.num_other, 2) << "of " << total.num_rows;
}

TEST_P(CudaSampling, OnlyTheNonFiniteRowFails) {
  std::mt19937 random(15);
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE("vocabulary " + std::to_string(shape.vocab_size));
    std::vector<Sequence> sequences;
    for (int i = 0; i < 24; ++i) {
      Sequence s = {.logits = RandomLogits(random, shape.vocab_size, true)};
      if (i % 4 == 0) s.params.temperature = 0;
      s.params.num_logprobs = 3;
      const float bad[] = {NAN, INFINITY, -INFINITY};
      const int places[] = {0, shape.vocab_size - 1, 3};
      if (i % 2) s.logits[places[i / 2 % 3]] = bad[i / 6 % 3];
      sequences.push_back(std::move(s));
    }
    const std::vector<SampledRow> rows =
        RunSample(GetParam(), sequences, shape.vocab_size, shape.vocab_stride);
    for (int i = 0; i < 24; ++i) {
      EXPECT_EQ(rows[i].token < 0, i % 2 == 1) << "row " << i;
      EXPECT_EQ(rows[i].num_top, i % 2 ? 0 : 3);
    }
  }
}

TEST_P(CudaSampling, ARowWithNothingAllowedFails) {
  std::vector<Sequence> sequences(2);
  for (Sequence& s : sequences) s.logits = {1, 2, 3, 4, 5};
  sequences[1].allowed.assign(5, false);
  const std::vector<SampledRow> rows = RunSample(GetParam(), sequences, 5, 5);
  EXPECT_GE(rows[0].token, 0);
  EXPECT_EQ(rows[1].token, -1);
}

TEST_P(CudaSampling, ARowThatItsPenaltyMakesInfiniteFails) {
  std::vector<Sequence> sequences(2);
  for (Sequence& s : sequences) s.logits = {100, 2, 3, 4, 5};
  sequences[0].params = {.top_k = 2, .top_p = 0.5f, .repetition_penalty = 1e-38f};
  std::vector<float> adjusted;
  EXPECT_EQ(Reference(sequences[0], adjusted).status, RowStatus::kNonFinite);
  const std::vector<SampledRow> rows = RunSample(GetParam(), sequences, 5, 5);
  EXPECT_EQ(rows[0].token, -1);
  EXPECT_GE(rows[1].token, 0);
}

TEST_P(CudaSampling, TheSameRowsAreTheSameTokens) {
  std::mt19937 random(16);
  std::vector<Sequence> sequences;
  for (int i = 0; i < 200; ++i) {
    Sequence s = {.logits = RandomLogits(random, 151'665, i % 2)};
    s.params.seed = i;
    s.params.top_p = i % 3 ? 0.9f : 1.0f;
    s.params.num_logprobs = 2;
    sequences.push_back(std::move(s));
  }
  auto again = sequences;
  // In other company, too: each row's neighbours and place are others.
  std::vector<Sequence> half(sequences.begin() + 100, sequences.end());
  const auto first = RunSample(GetParam(), sequences, 151'665, 151'936);
  const auto second = RunSample(GetParam(), again, 151'665, 151'936);
  const auto third = RunSample(GetParam(), half, 151'665, 151'936);
  for (int i = 0; i < 200; ++i) {
    const SampledRow& same = i < 100 ? second[i] : third[i - 100];
    EXPECT_EQ(first[i].token, same.token);
    EXPECT_EQ(first[i].logprob, same.logprob);
    EXPECT_EQ(first[i].top_logprobs[1], same.top_logprobs[1]);
  }
}

// Every step appends to the history that the next one's penalties and noise are of.
TEST_P(CudaSampling, StepsContinueAsTheReferenceDoes) {
  std::mt19937 random(17);
  std::vector<Sequence> sequences;
  for (int i = 0; i < 16; ++i) {
    Sequence s = {.logits = RandomLogits(random, 1'003, true)};
    s.params.seed = 1000 + i;
    s.params.frequency_penalty = 1.5f;
    s.params.repetition_penalty = 1.1f;
    if (i % 2) s.params.top_k = 20;
    sequences.push_back(std::move(s));
  }
  std::vector<Sequence> expected = sequences;
  for (int step = 0; step < 40; ++step) {
    RunSample(GetParam(), sequences, 1'003, 1'003);
    for (Sequence& s : expected) {
      std::vector<float> adjusted;
      s.tokens.push_back(Reference(s, adjusted).tokens.at(0));
    }
  }
  for (int i = 0; i < 16; ++i) EXPECT_EQ(sequences[i].tokens, expected[i].tokens);
}

// Chi-square against the bound of its 1 - 1e-6 quantile (Wilson and Hilferty).
TEST_P(CudaSampling, DrawsFollowTheDistribution) {
  constexpr int kTokens = 64, kRows = 512, kRounds = 40;
  std::mt19937 random(18);
  const std::vector<float> logits = RandomLogits(random, kTokens, false);
  std::vector<Sequence> sequences(kRows);
  for (int i = 0; i < kRows; ++i)
    sequences[i] = {.params = {.seed = uint64_t(i)}, .logits = logits};
  std::vector<int> counts(kTokens);
  for (int round = 0; round < kRounds; ++round) {
    for (const SampledRow& row : RunSample(GetParam(), sequences, kTokens, kTokens)) {
      ++counts[row.token];
    }
  }
  double sum = 0, chi_square = 0;
  for (float x : logits) sum += std::exp(x);
  for (int i = 0; i < kTokens; ++i) {
    const double mean = std::exp(logits[i]) / sum * kRows * kRounds;
    chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
  }
  const double freedom = kTokens - 1, v = 2 / (9 * freedom);
  EXPECT_LT(chi_square, freedom * std::pow(1 - v + 4.75 * std::sqrt(v), 3));
}

INSTANTIATE_TEST_SUITE_P(Samplers, CudaSampling,
                         ::testing::Values(&SampleOnDevice, &SampleInOneBlock),
                         [](const auto& info) {
                           return info.param == &SampleInOneBlock ? "OneBlock" : "OnDevice";
                         });

// All that decides is exact, and so the same however a row is spread over threads.
TEST(SampleInOneBlock, GivesWhatTheClusterGives) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  std::mt19937 random(19);
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE("vocabulary " + std::to_string(shape.vocab_size));
    std::vector<Sequence> sequences;
    for (SamplingParams p : Combinations()) {
      p.seed = random();
      p.num_logprobs = 3;
      if (sequences.size() % 4 == 0) p.frequency_penalty = 0.5f;
      Sequence s = {.params = p, .logits = RandomLogits(random, shape.vocab_size, true)};
      s.tokens.resize(1 + random() % 20, 3);
      sequences.push_back(std::move(s));
    }
    auto again = sequences;
    const auto expected =
        RunSample(&SampleOnDevice, sequences, shape.vocab_size, shape.vocab_stride);
    const auto rows = RunSample(&SampleInOneBlock, again, shape.vocab_size, shape.vocab_stride);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].token, expected[i].token) << "row " << i;
      EXPECT_EQ(rows[i].logprob, expected[i].logprob) << "row " << i;
      EXPECT_EQ(rows[i].top_ids[2], expected[i].top_ids[2]) << "row " << i;
      EXPECT_EQ(rows[i].top_logprobs[2], expected[i].top_logprobs[2]) << "row " << i;
    }
  }
}

}  // namespace
}  // namespace weft::worker::ops::cuda
