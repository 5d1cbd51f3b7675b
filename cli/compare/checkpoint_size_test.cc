#include "cli/compare/checkpoint_size.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace weft::compare {
namespace {

const worker::ModelConfig kR1{.vocab_size = 151936,
                              .hidden_size = 1536,
                              .intermediate_size = 8960,
                              .num_layers = 28,
                              .num_heads = 12,
                              .num_kv_heads = 2,
                              .head_dim = 128};

TEST(CheckpointSize, TheUntiedHeadIsWhatR1HasMore) {
  worker::ModelConfig tied = kR1;
  tied.tied_head = true;
  const CheckpointSize r1 = SizeOf(kR1), math = SizeOf(tied);
  constexpr int64_t kHead = 151936 * 1536;
  EXPECT_EQ(r1.num_parameters, 1'777'088'000);
  EXPECT_EQ(math.num_parameters, 1'543'714'304);
  EXPECT_EQ(r1.int8_bytes - math.int8_bytes, 2 * kHead);
  EXPECT_EQ(r1.int4_bytes - math.int4_bytes, 2 * kHead);
  EXPECT_EQ(r1.kv_bytes_per_token, 28'672);
  EXPECT_EQ(math.kv_bytes_per_token, 28'672);
}

TEST(CheckpointSize, Int4CountsScalesAndZeroPoints) {
  // Matrices of a layer, out times in: q, k, v, o, gate, up, down.
  const int64_t matrices = 28 * (1536 * 1536 * 2 + 256 * 1536 * 2 + int64_t{8960} * 1536 * 3);
  const int64_t rest = 1'777'088'000 - matrices;
  const CheckpointSize r1 = SizeOf(kR1);
  EXPECT_EQ(r1.int4_bytes, matrices / 2 + matrices / 128 * 5 / 2 + 2 * rest);
  EXPECT_EQ(r1.int8_bytes, matrices + 2 * 28 * (2 * 1536 + 2 * 256 + 2 * 8960 + 1536) + 2 * rest);
}

TEST(CheckpointSize, OfTheDemoModelIsItsFile) {
  const std::string dir = WEFT_SOURCE_DIR "/models/weft-demo-r1";
  const auto size = MeasureCheckpoint(dir);
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(size->bytes_on_disk, std::filesystem::file_size(dir + "/model.safetensors"));
  EXPECT_GT(*size->bytes_on_disk, 2 * size->num_parameters);
  EXPECT_LT(size->int4_bytes, size->int8_bytes);
  EXPECT_LT(size->int8_bytes, *size->bytes_on_disk);
}

TEST(CheckpointSize, NoFolderIsRefused) { EXPECT_FALSE(MeasureCheckpoint("/nowhere/at/all").ok()); }

}  // namespace
}  // namespace weft::compare
