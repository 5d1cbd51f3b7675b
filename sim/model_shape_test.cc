#include "sim/model_shape.h"

#include <gtest/gtest.h>

#include "worker/model/model_config.h"

namespace weft::sim {
namespace {

// So that --model of R1's folder and no --model are the same.
TEST(ModelShape, OfR1IsTheDefault) {
  const worker::ModelConfig r1{.vocab_size = 151936,
                               .hidden_size = 1536,
                               .intermediate_size = 8960,
                               .num_layers = 28,
                               .num_heads = 12,
                               .num_kv_heads = 2,
                               .head_dim = 128};
  const ModelShape shape = ShapeOf(r1), expected = Qwen2_1_5B();
  EXPECT_NEAR(shape.body_parameters, expected.body_parameters, 1e-3 * expected.body_parameters);
  EXPECT_EQ(shape.head_parameters, expected.head_parameters);
  EXPECT_EQ(shape.bytes_per_weight, expected.bytes_per_weight);
  EXPECT_EQ(shape.kv_bytes_per_token, expected.kv_bytes_per_token);
  EXPECT_EQ(shape.attention_flops_per_pair, expected.attention_flops_per_pair);

  worker::ModelConfig tied = r1;
  tied.tied_head = true;
  EXPECT_EQ(ShapeOf(tied).body_parameters, shape.body_parameters);
  EXPECT_EQ(ShapeOf(tied).head_parameters, shape.head_parameters);
}

}  // namespace
}  // namespace weft::sim
