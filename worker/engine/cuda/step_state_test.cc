#include "worker/engine/cuda/step_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "worker/ops/cuda/testing.h"

namespace weft::worker {
namespace {

using ops::cuda::DeviceValues;
using ::testing::ElementsAre;

constexpr int kMaxSlots = 4;
constexpr int kTokenStride = 50;
constexpr int kMaxBlocks = 3;
constexpr StepRecordShape kShape = {.max_rows = kMaxSlots, .max_new_blocks = 8};

// Slot s knows tokens 1000 s + position and has blocks 10 s, 10 s + 1, 10 s + 2.
class StepStateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!ops::cuda::HasGpu()) GTEST_SKIP() << "no GPU";
    std::vector<int32_t> tokens, blocks;
    for (int s = 0; s < kMaxSlots; ++s) {
      for (int p = 0; p < kTokenStride; ++p) tokens.push_back(1000 * s + p);
      for (int b = 0; b < kMaxBlocks; ++b) blocks.push_back(10 * s + b);
    }
    tokens_ = std::make_unique<Ints>(tokens);
    blocks_ = std::make_unique<Ints>(blocks);
    for (auto* array : {&token_ids_, &positions_, &row_starts_, &block_starts_, &block_sums_,
                        &logit_tokens_, &logit_slots_}) {
      *array = std::make_unique<Ints>(std::vector<int32_t>(64, -77));
    }
  }

  struct Row {
    RowRecord record;
    int num_blocks;  // of a single row's context
    std::vector<NewBlock> new_blocks;
  };

  // A record as the host writes it.
  static std::vector<char> Record(const std::vector<Row>& rows) {
    std::vector<char> bytes(kShape.bytes());
    StepRecord record = {};
    auto* records = reinterpret_cast<RowRecord*>(bytes.data() + kShape.rows_offset());
    auto* starts = reinterpret_cast<int32_t*>(bytes.data() + kShape.row_starts_offset());
    auto* sums = reinterpret_cast<int32_t*>(bytes.data() + kShape.block_sums_offset());
    auto* blocks = reinterpret_cast<NewBlock*>(bytes.data() + kShape.new_blocks_offset());
    for (const Row& row : rows) {
      if (row.record.num_tokens == 1) {
        sums[record.num_single_rows + 1] = sums[record.num_single_rows] + row.num_blocks;
        ++record.num_single_rows;
      }
      starts[record.num_rows] = record.num_tokens;
      records[record.num_rows++] = row.record;
      record.num_tokens += row.record.num_tokens;
      record.num_logits += row.record.logit_row >= 0;
      for (const NewBlock& block : row.new_blocks) blocks[record.num_new_blocks++] = block;
    }
    starts[record.num_rows] = record.num_tokens;
    std::memcpy(bytes.data(), &record, sizeof(record));
    return bytes;
  }

  void Prepare(const char* records, const uint64_t* step, int num_rows, int num_tokens) {
    ASSERT_EQ(PrepareStep({.shape = kShape,
                           .records = records,
                           .step = step,
                           .slots = slots(),
                           .batch = {.token_ids = token_ids_->data(),
                                     .positions = positions_->data(),
                                     .row_starts = row_starts_->data(),
                                     .block_starts = block_starts_->data(),
                                     .single_block_sums = block_sums_->data(),
                                     .logit_tokens = logit_tokens_->data(),
                                     .logit_slots = logit_slots_->data()},
                           .num_rows = num_rows,
                           .num_tokens = num_tokens},
                          nullptr),
              cudaSuccess);
  }

  SlotState slots() const {
    return {.token_stride = kTokenStride,
            .max_blocks = kMaxBlocks,
            .tokens = tokens_->data(),
            .blocks = blocks_->data()};
  }

  using Ints = DeviceValues<int32_t>;
  static std::vector<int32_t> First(const std::unique_ptr<Ints>& array, int count) {
    std::vector<int32_t> values = array->Read();
    EXPECT_EQ(values.at(count), -77) << "written beyond the end";
    values.resize(count);
    return values;
  }

  std::unique_ptr<Ints> tokens_, blocks_;
  std::unique_ptr<Ints> token_ids_, positions_, row_starts_, block_starts_, block_sums_,
      logit_tokens_, logit_slots_;
};

TEST_F(StepStateTest, RecordBecomesTheArraysOfABatch) {
  // Slot 2 decodes position 16, slot 0 a position that samples nothing; slot 3 computes
  // a prompt's 5..8, slot 1 the chunk 20..22 of a longer one.
  const DeviceValues<char> record(Record({
      {{.slot = 2, .first_position = 16, .num_tokens = 1, .logit_row = 0}, 2, {{2 * 3 + 1, 91}}},
      {{.slot = 0, .first_position = 3, .num_tokens = 1, .logit_row = -1}, 1, {}},
      {{.slot = 3, .first_position = 5, .num_tokens = 4, .logit_row = 1}, 0, {{3 * 3, 92}}},
      {{.slot = 1, .first_position = 20, .num_tokens = 3, .logit_row = -1}, 0, {}},
  }));
  Prepare(record.data(), nullptr, 4, 9);
  EXPECT_THAT(First(token_ids_, 9), ElementsAre(2016, 3, 3005, 3006, 3007, 3008, 1020, 1021, 1022));
  EXPECT_THAT(First(positions_, 9), ElementsAre(16, 3, 5, 6, 7, 8, 20, 21, 22));
  EXPECT_THAT(First(row_starts_, 5), ElementsAre(0, 1, 2, 6, 9));
  EXPECT_THAT(First(block_starts_, 4), ElementsAre(6, 0, 9, 3));
  EXPECT_THAT(First(logit_tokens_, 2), ElementsAre(0, 5));
  EXPECT_THAT(First(logit_slots_, 2), ElementsAre(2, 3));
  const auto sums = block_sums_->Read();
  EXPECT_THAT(std::vector<int32_t>(sums.begin(), sums.begin() + 3), ElementsAre(0, 2, 3));
  EXPECT_THAT(blocks_->Read(), ElementsAre(0, 1, 2, 10, 11, 12, 20, 91, 22, 92, 31, 32));
}

TEST_F(StepStateTest, CapturedStepReadsItsPlaceInTheRingAndPadsTheRest) {
  const Row other = {{.slot = 1, .first_position = 1, .num_tokens = 1, .logit_row = 0}, 1, {}};
  std::vector<char> ring;
  for (int place = 0; place < kStepRing; ++place) {
    auto rows = std::vector<Row>{other};
    if (place == 2) {
      rows = {{{.slot = 3, .first_position = 33, .num_tokens = 1, .logit_row = 0}, 3, {}},
              {{.slot = 0, .first_position = 0, .num_tokens = 1, .logit_row = 1}, 1, {}}};
    }
    const auto record = Record(rows);
    ring.insert(ring.end(), record.begin(), record.end());
  }
  const DeviceValues<char> records(ring);
  const DeviceValues<uint64_t> step({kStepRing * 5 + 2});
  Prepare(records.data(), step.data(), 4, 4);
  EXPECT_THAT(First(token_ids_, 4), ElementsAre(3033, 0, -1, -1));
  EXPECT_THAT(First(positions_, 4), ElementsAre(33, 0, -1, -1));
  EXPECT_THAT(First(row_starts_, 5), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(First(block_sums_, 5), ElementsAre(0, 3, 4, 4, 4));
  EXPECT_THAT(First(logit_tokens_, 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(First(logit_slots_, 4), ElementsAre(3, 0, -1, -1));
}

TEST_F(StepStateTest, FinishedStepsAreCountedInTheRing) {
  const DeviceValues<uint64_t> step({6});
  const DeviceValues<uint64_t> done({0, 0, 0, 0});
  ASSERT_EQ(FinishStep(step.data(), done.data(), nullptr), cudaSuccess);
  ASSERT_EQ(FinishStep(step.data(), done.data(), nullptr), cudaSuccess);
  EXPECT_THAT(step.Read(), ElementsAre(8));
  EXPECT_THAT(done.Read(), ElementsAre(0, 0, 7, 8));
}

}  // namespace
}  // namespace weft::worker
