// The model against transformers (make_fixtures.py), on every device: logits within
// 1e-4 in fp32 however a sequence is cut into steps and whatever runs beside it,
// greedy tokens equal, and in 16 bits the same best token wherever rounding cannot
// decide.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "tests/parity/device.h"
#include "worker/engine/slot_table.h"
#include "worker/model/safetensors.h"
#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using parity::DeviceModel;

constexpr int kNumPrompts = 5;
constexpr int kNumBlocks = 160;
constexpr int kMaxStepTokens = 512;
constexpr int kMaxRows = 8;

// What transformers said about one prompt.
struct Expected {
  std::vector<TokenId> tokens;  // prompt, then the greedy continuation
  int num_prompt_tokens = 0;
  int first = 0;              // position of the first row of logits
  std::vector<float> logits;  // [tokens.size() - 1 - first, V]
  float bf16_noise = 0;
};

template <class T>
std::vector<T> ReadTensor(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor& tensor = file.tensors().at(name);
  std::vector<T> values(tensor.bytes / sizeof(T));
  EXPECT_TRUE(file.Read(tensor.offset, tensor.bytes, values.data()).ok());
  return values;
}

std::vector<Expected> ReadExpected(const std::string& dir) {
  const auto file = SafetensorsFile::Open(dir + "/expected.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  std::vector<Expected> prompts;
  for (int i = 0; i < kNumPrompts; ++i) {
    const std::string n = std::to_string(i);
    prompts.push_back({.tokens = ReadTensor<TokenId>(*file, "tokens." + n),
                       .num_prompt_tokens = ReadTensor<int32_t>(*file, "prompt." + n)[0],
                       .first = ReadTensor<int32_t>(*file, "first." + n)[0],
                       .logits = ReadTensor<float>(*file, "logits." + n),
                       .bf16_noise = ReadTensor<float>(*file, "noise." + n)[0]});
  }
  return prompts;
}

struct Where {
  const char* shape;
  const char* device;

  bool is_cuda() const { return device == std::string("cuda"); }
};

class Parity : public ::testing::TestWithParam<Where> {
 protected:
  void SetUp() override { Load(DType::kFloat32); }

  // The shape's made-up weights, by way of a checkpoint on disk.
  void Load(DType dtype) {
    const std::string dir =
        std::string(WEFT_SOURCE_DIR) + "/tests/parity/fixtures/" + GetParam().shape;
    prompts_ = ReadExpected(dir);
    const auto config = LoadModelConfig(dir);
    ASSERT_TRUE(config.ok()) << config.status();
    vocab_size_ = config->vocab_size;
    const bool is_cuda = GetParam().is_cuda();
    if (is_cuda) {
      const std::string why_not = parity::WhyNotOnCuda(config->head_dim);
      if (!why_not.empty()) GTEST_SKIP() << why_not;
    }
    testing::TempDir checkpoint;
    checkpoint.Write("model.safetensors",
                     testing::SafetensorsBytes(testing::DummyTensors(*config)));
    const auto source = OpenCheckpoint(checkpoint.path(), Qwen2Tensors(*config));
    ASSERT_TRUE(source.ok()) << source.status();
    model_ =
        (is_cuda ? parity::MakeCudaModel : parity::MakeCpuModel)({.config = *config,
                                                                  .dtype = dtype,
                                                                  .max_step_tokens = kMaxStepTokens,
                                                                  .max_rows = kMaxRows,
                                                                  .num_blocks = kNumBlocks},
                                                                 **source);
    slots_ = std::make_unique<SlotTable>(BackendLimits{.num_blocks = kNumBlocks,
                                                       .max_rows = kMaxRows,
                                                       .max_step_tokens = kMaxStepTokens,
                                                       .max_context_tokens = 1024,
                                                       .vocab_size = config->vocab_size});
    // Blocks in no order, as after a while of serving.
    free_blocks_.resize(kNumBlocks);
    for (int i = 0; i < kNumBlocks; ++i) free_blocks_[i] = i;
    std::shuffle(free_blocks_.begin(), free_blocks_.end(), std::mt19937(7));
  }

  // Prompt i enters slot `slot` with all its tokens known, so that each step says
  // what its logits are for the oracle's continuation.
  void Enter(int slot, int prompt, std::vector<int> cached_blocks = {}) {
    SlotEntry entry = {.slot = slot,
                       .tokens = prompts_[prompt].tokens,
                       .num_prompt_tokens = prompts_[prompt].num_prompt_tokens,
                       .num_computed_tokens = static_cast<int>(cached_blocks.size()) * 16,
                       .blocks = std::move(cached_blocks),
                       .sampling = {.temperature = 0}};
    prompt_of_[slot] = prompt;
    next_.entries.push_back(entry);
    blocks_[slot] = next_.entries.back().blocks;
    computed_[slot] = entry.num_computed_tokens;
  }

  void Row(int slot, int num_tokens) {
    StepRow row = {.slot = slot, .num_tokens = num_tokens};
    computed_[slot] += num_tokens;
    while (static_cast<int>(blocks_[slot].size()) * 16 < computed_[slot]) {
      row.new_blocks.push_back(free_blocks_.back());
      blocks_[slot].push_back(free_blocks_.back());
      free_blocks_.pop_back();
    }
    next_.rows.push_back(row);
  }

  int NumLeft(int slot) const {
    return static_cast<int>(prompts_[prompt_of_.at(slot)].tokens.size()) - 1 - computed_.at(slot);
  }

  // Runs the rows gathered and hands each kept position's logits to `check`.
  template <class Check>
  void Step(Check check) {
    std::stable_partition(next_.rows.begin(), next_.rows.end(),
                          [](const StepRow& row) { return row.num_tokens == 1; });
    const auto rows = slots_->Begin(next_);
    ASSERT_TRUE(rows.ok()) << rows.status();
    next_ = {};
    ops::HostBatch batch = MakeBatch(*slots_, *rows);
    batch.logit_tokens.clear();
    for (int i = 0; i < batch.num_tokens(); ++i) batch.logit_tokens.push_back(i);
    const std::vector<float> logits = model_->Forward(batch);
    for (size_t r = 0; r < rows->size(); ++r) {
      const Expected& expected = prompts_[prompt_of_[(*rows)[r].slot]];
      for (int i = 0; i < (*rows)[r].num_tokens; ++i) {
        const int position = (*rows)[r].first_position + i;
        if (position < expected.first) continue;
        check(expected, position, logits.data() + (batch.row_starts[r] + i) * int64_t{vocab_size_},
              expected.logits.data() + (position - expected.first) * int64_t{vocab_size_});
        ++num_checked_;
      }
    }
    slots_->Finish(*rows, std::vector<RowResult>(rows->size()));
  }

  void StepAndCompare() {
    const int vocab = vocab_size_;
    Step([&](const Expected& expected, int position, const float* ours, const float* theirs) {
      float worst = 0;
      for (int v = 0; v < vocab; ++v) worst = std::max(worst, std::abs(ours[v] - theirs[v]));
      EXPECT_LE(worst, 1e-4) << "prompt of " << expected.num_prompt_tokens << ", position "
                             << position;
      if (position < expected.num_prompt_tokens - 1) return;
      EXPECT_EQ(std::max_element(ours, ours + vocab) - ours, expected.tokens[position + 1])
          << "greedy token after position " << position;
    });
  }

  void ExpectAllChecked() {
    int all = 0;
    for (const auto& [slot, prompt] : prompt_of_) {
      all += static_cast<int>(prompts_[prompt].tokens.size()) - 1 - prompts_[prompt].first;
    }
    EXPECT_EQ(num_checked_, all);
  }

  // Prompts and continuations in `dtype`.
  void ExpectSameBestTokenWhereRoundingCannotDecide(DType dtype) {
    Load(dtype);
    const int vocab = vocab_size_;
    int num_decided = 0;
    for (int i = 0; i < kNumPrompts; ++i) {
      Enter(i, i);
      Row(i, prompts_[i].num_prompt_tokens);
      while (NumLeft(i) >= 0) {
        Step([&](const Expected& expected, int position, const float* ours, const float* theirs) {
          std::vector<float> sorted(theirs, theirs + vocab);
          std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
          // Both logits may move by the noise.
          if (sorted[0] - sorted[1] <= 2 * expected.bf16_noise) return;
          ++num_decided;
          EXPECT_EQ(std::max_element(ours, ours + vocab) - ours,
                    std::max_element(theirs, theirs + vocab) - theirs)
              << "position " << position;
        });
        if (NumLeft(i) == 0) break;
        Row(i, 1);
      }
    }
    ExpectAllChecked();
    EXPECT_GT(num_decided, num_checked_ / 2);
  }

  std::vector<Expected> prompts_;
  int vocab_size_ = 0;
  std::unique_ptr<DeviceModel> model_;
  std::unique_ptr<SlotTable> slots_;
  StepCommand next_;
  std::vector<int> free_blocks_;
  std::map<int, int> prompt_of_;
  std::map<int, int> computed_;
  std::map<int, std::vector<int>> blocks_;
  int num_checked_ = 0;
};

std::vector<Where> On(std::vector<const char*> devices) {
  std::vector<Where> all;
  for (const char* shape :
       {"tied-group6-dim64", "untied-group6-dim128", "untied-group1-dim16", "tied-group4-dim32"}) {
    for (const char* device : devices) all.push_back({shape, device});
  }
  return all;
}

std::string NameOfCase(const ::testing::TestParamInfo<Where>& info) {
  std::string name = std::string(info.param.shape) + "_" + info.param.device;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
}

INSTANTIATE_TEST_SUITE_P(, Parity, ::testing::ValuesIn(On({"cpu", "cuda"})), NameOfCase);

TEST_P(Parity, WholePrefill) {
  for (int i = 0; i < kNumPrompts; ++i) {
    Enter(i, i);
    Row(i, NumLeft(i));
    StepAndCompare();
  }
  ExpectAllChecked();
}

TEST_P(Parity, PrefillThenDecodeStepByStep) {
  for (int i = 0; i < kNumPrompts; ++i) {
    Enter(i, i);
    Row(i, prompts_[i].num_prompt_tokens);
    StepAndCompare();
    while (NumLeft(i) > 0) {
      Row(i, 1);
      StepAndCompare();
    }
  }
  ExpectAllChecked();
}

TEST_P(Parity, ChunkedPrefillWithAnyCuts) {
  const uint32_t seed = 20261123;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < kNumPrompts; ++i) {
    Enter(i, i);
    while (NumLeft(i) > 0) {
      Row(i, std::min<int>(NumLeft(i), 1 + random() % 37));
      StepAndCompare();
    }
  }
  ExpectAllChecked();
}

TEST_P(Parity, PrefillBehindCachedBlocks) {
  // Slot 0 computes the prompt; 1 and 2 enter with its first 2 and 24 blocks.
  Enter(0, 4);
  Row(0, NumLeft(0));
  StepAndCompare();
  const std::vector<int> blocks = blocks_[0];
  Enter(1, 4, {blocks.begin(), blocks.begin() + 2});
  Enter(2, 4, {blocks.begin(), blocks.begin() + 24});
  Row(1, NumLeft(1));
  Row(2, 7);
  StepAndCompare();
  while (NumLeft(2) > 0) {
    Row(2, 1);
    StepAndCompare();
  }
  ExpectAllChecked();
}

TEST_P(Parity, BatchesMixPrefillChunksAndDecodes) {
  const uint32_t seed = 99;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::set<int> running;
  // Slot s runs prompt s % 5 and enters at step 2 s.
  for (int step = 0; step < 16 || !running.empty(); ++step) {
    if (step % 2 == 0 && step < 16) {
      Enter(step / 2, step / 2 % kNumPrompts);
      running.insert(step / 2);
    }
    for (int slot : std::set<int>(running)) {
      const int n = random() % 3 ? 1 : std::min<int>(NumLeft(slot), 1 + random() % 60);
      Row(slot, n);
      if (NumLeft(slot) == 0) running.erase(slot);
    }
    StepAndCompare();
  }
  ExpectAllChecked();
}

TEST_P(Parity, InBf16TheBestTokenIsTheSameWhereRoundingCannotDecide) {
  ExpectSameBestTokenWhereRoundingCannotDecide(DType::kBFloat16);
}

// The CPU does not compute in float16. Held to bf16's noise, which is larger.
class ParityInFp16 : public Parity {};
INSTANTIATE_TEST_SUITE_P(, ParityInFp16, ::testing::ValuesIn(On({"cuda"})), NameOfCase);

TEST_P(ParityInFp16, TheBestTokenIsTheSameWhereRoundingCannotDecide) {
  ExpectSameBestTokenWhereRoundingCannotDecide(DType::kFloat16);
}

}  // namespace
}  // namespace weft::worker
