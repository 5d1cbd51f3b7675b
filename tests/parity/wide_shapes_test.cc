// The GPU against the CPU in fp32 on the widths of real models, which no fixture has:
// two layers of them, made-up weights, steps as a server makes them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "tests/parity/device.h"

namespace weft::worker {
namespace {

constexpr int kVocabSize = 1000;
constexpr int kNumBlocks = 400;
// Longer rows have logits for so many only.
constexpr int kMaxRowLogits = 150;
constexpr int kMaxStepTokens = 1024;

struct Width {
  const char* name;
  int hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim;
  bool tied_head;

  ModelConfig Config() const {
    return {.vocab_size = kVocabSize,
            .hidden_size = hidden_size,
            .intermediate_size = intermediate_size,
            .num_layers = 2,
            .num_heads = num_heads,
            .num_kv_heads = num_kv_heads,
            .head_dim = head_dim,
            .max_position_embeddings = 4096,
            .rms_norm_eps = 1e-6f,
            .rope_theta = 1e6,
            .tied_head = tied_head};
  }
};

// Sequences of random tokens in scattered blocks, cut into steps.
class Sequences {
 public:
  Sequences() : free_blocks_(kNumBlocks) {
    for (int i = 0; i < kNumBlocks; ++i) free_blocks_[i] = i;
    std::shuffle(free_blocks_.begin(), free_blocks_.end(), random_);
  }

  // The sequences' next tokens, as many of each as `num_tokens` says (0: it rests).
  // Those of one token first. Logits of each row's last ones are wanted.
  ops::HostBatch Step(const std::vector<int>& num_tokens) {
    ops::HostBatch batch;
    batch.row_starts = {0};
    blocks_.resize(std::max(blocks_.size(), num_tokens.size()));
    lengths_.resize(blocks_.size(), 0);
    for (const bool single : {true, false}) {
      for (size_t i = 0; i < num_tokens.size(); ++i) {
        if (num_tokens[i] > 0 && (num_tokens[i] == 1) == single) Add(i, num_tokens[i], batch);
      }
    }
    return batch;
  }

 private:
  void Add(size_t sequence, int num_tokens, ops::HostBatch& batch) {
    for (int t = 0; t < num_tokens; ++t) {
      if (num_tokens - t <= kMaxRowLogits) batch.logit_tokens.push_back(batch.num_tokens());
      batch.token_ids.push_back(static_cast<int32_t>(random_() % kVocabSize));
      batch.positions.push_back(lengths_[sequence]++);
    }
    std::vector<int>& blocks = blocks_[sequence];
    while (static_cast<int>(blocks.size()) * ops::kBlockTokens < lengths_[sequence]) {
      blocks.push_back(free_blocks_.back());
      free_blocks_.pop_back();
    }
    batch.block_starts.push_back(static_cast<int32_t>(batch.blocks.size()));
    batch.blocks.insert(batch.blocks.end(), blocks.begin(), blocks.end());
    batch.row_starts.push_back(batch.num_tokens());
  }

  std::mt19937 random_{20261126};
  std::vector<int> free_blocks_;
  std::vector<std::vector<int>> blocks_;
  std::vector<int> lengths_;
};

std::vector<ops::HostBatch> ShortSteps() {
  Sequences sequences;
  return {
      sequences.Step({37, 130, 16, 1}),         // prompts
      sequences.Step({1, 1, 1, 1, 50}),         // decodes beside one
      sequences.Step({1, 1, 1, 1, 1}),          // a small batch of decodes
      sequences.Step({1, 33, 0, 2}),            // a chunk behind 132 tokens
      sequences.Step(std::vector<int>(24, 1)),  // a larger batch
      sequences.Step({0, 1}),                   // a stream alone
  };
}

// A context of 3,000 tokens, and others beside it.
std::vector<ops::HostBatch> LongSteps() {
  Sequences sequences;
  return {
      sequences.Step({1000}),
      sequences.Step({1000, 24}),
      sequences.Step({1000, 1, 23}),  // prompts behind a long context and behind none
      sequences.Step({1}),            // spread over all multiprocessors
      sequences.Step({1, 1, 0, 700}),
      sequences.Step({1, 1, 1, 1}),  // contexts of very different lengths
      sequences.Step({60, 1, 1, 1}),
      sequences.Step(std::vector<int>(20, 1)),
  };
}

std::vector<std::vector<float>> LogitsOf(parity::DeviceModel& model,
                                         const std::vector<ops::HostBatch>& steps) {
  std::vector<std::vector<float>> logits;
  for (const ops::HostBatch& step : steps) logits.push_back(model.Forward(step));
  return logits;
}

// How far logits are from the reference, in units of the reference's root mean square.
struct Distance {
  double rms = 0;
  double worst = 0;
  int num_same_best = 0;  // tokens whose best next token is the same
  int num_tokens = 0;
};

Distance DistanceOf(const std::vector<float>& logits, const std::vector<float>& reference) {
  double difference = 0, square = 0, worst = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double d = logits[i] - reference[i];
    difference += d * d;
    square += double{reference[i]} * reference[i];
    worst = std::isfinite(d) ? std::max(worst, std::abs(d)) : INFINITY;
  }
  int same = 0, count = 0;
  for (size_t at = 0; at < reference.size(); at += kVocabSize, ++count) {
    const auto best = [&](const std::vector<float>& v) {
      return std::max_element(v.begin() + at, v.begin() + at + kVocabSize) - v.begin();
    };
    same += best(logits) == best(reference);
  }
  const double unit = std::sqrt(square / static_cast<double>(reference.size()));
  return {.rms = std::sqrt(difference / square),
          .worst = worst / unit,
          .num_same_best = same,
          .num_tokens = count};
}

class WideShapes : public ::testing::TestWithParam<Width> {};
INSTANTIATE_TEST_SUITE_P(, WideShapes,
                         ::testing::Values(Width{"0_5b", 896, 4864, 14, 2, 64, true},
                                           Width{"1_5b", 1536, 8960, 12, 2, 128, true},
                                           Width{"7b", 3584, 18944, 28, 4, 128, false}),
                         [](const auto& info) { return std::string(info.param.name); });

// Dummy weights with keys twice as large. With the usual ones each token of a long
// context counts nearly the same, and a few that are missing would not show.
class PeakedWeights : public WeightSource {
 public:
  absl::Status ReadRange(const TensorSpec& tensor, DType dtype, NumberRange range,
                         void* out) const override {
    if (tensor.name.find("k_proj") == std::string::npos) {
      return dummy_->ReadRange(tensor, dtype, range, out);
    }
    std::vector<float> numbers(range.count);
    if (auto s = dummy_->ReadRange(tensor, DType::kFloat32, range, numbers.data()); !s.ok()) {
      return s;
    }
    for (float& number : numbers) number *= 2;
    ConvertNumbers(numbers.data(), DType::kFloat32, out, dtype, range.count);
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Fingerprint() const override { return dummy_->Fingerprint(); }

 private:
  const std::unique_ptr<WeightSource> dummy_ = MakeDummyWeights();
};

// Largest distances that rounding explains: two to five times what an H200 shows.
struct Bound {
  DType dtype;
  bool has_fp8_kv;
  double rms, worst;  // of each step
  double same_best;   // of all
};
constexpr Bound kBounds[] = {{DType::kFloat32, false, 8e-6, 4e-5, 0.99},
                             {DType::kFloat16, false, 0.003, 0.02, 0.98},
                             {DType::kBFloat16, false, 0.02, 0.12, 0.95},
                             {DType::kBFloat16, true, 0.06, 0.4, 0.85}};

void ExpectGpuAsFarFromTheCpuAsItsRounding(const Width& width,
                                           const std::vector<ops::HostBatch>& steps,
                                           const WeightSource& weights, double slack) {
  const std::string why_not = parity::WhyNotOnCuda(width.head_dim);
  if (!why_not.empty()) GTEST_SKIP() << why_not;
  parity::ModelOptions options = {.config = width.Config(),
                                  .max_step_tokens = kMaxStepTokens,
                                  .max_rows = 32,
                                  .num_blocks = kNumBlocks};
  const auto reference = LogitsOf(*parity::MakeCpuModel(options, weights), steps);
  for (const Bound& bound : kBounds) {
    options.dtype = bound.dtype;
    options.has_fp8_kv = bound.has_fp8_kv;
    const auto logits = LogitsOf(*parity::MakeCudaModel(options, weights), steps);
    const std::string numbers =
        std::string(NameOf(bound.dtype)) + (bound.has_fp8_kv ? " fp8 KV" : "");
    int num_same_best = 0, num_tokens = 0;
    for (size_t step = 0; step < logits.size(); ++step) {
      SCOPED_TRACE(::testing::Message() << numbers << ", step " << step);
      ASSERT_EQ(logits[step].size(), reference[step].size());
      const Distance distance = DistanceOf(logits[step], reference[step]);
      std::printf("%s %s step %zu: rms %.2g, worst %.2g, %d of %d best tokens the same\n",
                  width.name, numbers.c_str(), step, distance.rms, distance.worst,
                  distance.num_same_best, distance.num_tokens);
      EXPECT_LE(distance.rms, slack * bound.rms);
      EXPECT_LE(distance.worst, slack * bound.worst);
      num_same_best += distance.num_same_best;
      num_tokens += distance.num_tokens;
    }
    EXPECT_GE(num_same_best, (1 - slack * (1 - bound.same_best)) * num_tokens) << numbers;
  }
}

TEST_P(WideShapes, GpuIsAsFarFromTheCpuInFp32AsItsRounding) {
  ExpectGpuAsFarFromTheCpuAsItsRounding(GetParam(), ShortSteps(), *MakeDummyWeights(), 1);
}

TEST_P(WideShapes, AndSoItIsInLongContexts) {
  if (GetParam().hidden_size > 2000) GTEST_SKIP() << "heads as 1_5b's, and the CPU takes long";
  ExpectGpuAsFarFromTheCpuAsItsRounding(GetParam(), LongSteps(), PeakedWeights(), 1.5);
}

}  // namespace
}  // namespace weft::worker
