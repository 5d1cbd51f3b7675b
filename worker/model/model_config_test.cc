#include "worker/model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_replace.h"
#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;
using testing::TinyModel;

// As published; facts of the file are checked against it where it is at hand.
constexpr const char* kR1 = R"({
  "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
  "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02,
  "intermediate_size": 8960, "max_position_embeddings": 131072, "max_window_layers": 21,
  "model_type": "qwen2", "num_attention_heads": 12, "num_hidden_layers": 28,
  "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000, "sliding_window": 4096,
  "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.44.0",
  "use_cache": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936})";

TEST(ModelConfigTest, R1IsReadWhole) {
  const auto config = ParseModelConfig("config.json", kR1);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->head_dim, 128);
  EXPECT_EQ(config->qkv_size(), 2048);
  EXPECT_EQ(config->rope_theta, 10000);
  EXPECT_EQ(config->dtype, DType::kBFloat16);
  EXPECT_FALSE(config->tied_head);
  EXPECT_EQ(config->num_parameters(), 1'777'088'000);
  EXPECT_EQ(config->kv_bytes_per_token(DType::kBFloat16), 28'672);
  auto tied = *config;
  tied.tied_head = true;
  EXPECT_EQ(tied.num_parameters(), 1'543'714'304);
}

// R1 with one line changed.
void ExpectRefused(const std::string& from, const std::string& to, const std::string& why) {
  const std::string text = absl::StrReplaceAll(kR1, {{from, to}});
  ASSERT_NE(text, kR1) << from;
  const auto config = ParseModelConfig("config.json", text);
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << to;
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("config.json: "));
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(why)) << to;
}

TEST(ModelConfigTest, WhatTheEngineWouldComputeWronglyIsRefusedByName) {
  const std::string mrope = R"("use_mrope": false)";
  ExpectRefused("Qwen2ForCausalLM", "LlamaForCausalLM", "architectures must be");
  ExpectRefused(R"(["Qwen2ForCausalLM"])", R"(["Qwen2ForCausalLM", "X"])", "architectures");
  ExpectRefused(R"("architectures")", R"("architecture")", "architectures");
  ExpectRefused(R"("qwen2")", R"("qwen2_moe")", "model_type must be \"qwen2\"");
  ExpectRefused(R"("silu")", R"("gelu")", "hidden_act must be \"silu\"");
  ExpectRefused(R"("use_sliding_window": false)", R"("use_sliding_window": true)",
                "use_sliding_window is true and the window of 4096");
  ExpectRefused(mrope, R"("use_mrope": true)", "use_mrope");
  ExpectRefused(mrope, R"("rope_scaling": {"type": "yarn", "factor": 4.0})",
                "rope_scaling of type \"yarn\" is not supported");
  ExpectRefused(mrope, R"("rope_scaling": {"rope_type": "llama3"})", "\"llama3\"");
  ExpectRefused(mrope, R"("rope_scaling": "linear")", "rope_scaling must be null or an object");
  ExpectRefused(mrope, R"("rope_parameters": {"rope_type": "dynamic"})", "\"dynamic\"");
  ExpectRefused(mrope, R"("quantization_config": {"quant_method": "awq"})", "quantization_config");
  ExpectRefused(mrope, R"("layer_types": ["full_attention", "sliding_attention"])", "layer_types");
  ExpectRefused(R"("num_attention_heads": 12)", R"("num_attention_heads": 64)", "head_dim must be");
  ExpectRefused(R"("num_attention_heads": 12)", R"("num_attention_heads": 11)",
                "hidden_size (1536) must be a multiple of num_attention_heads (11)");
  ExpectRefused(R"("num_key_value_heads": 2)", R"("num_key_value_heads": 5)",
                "num_attention_heads (12) must be a multiple of num_key_value_heads (5)");
  ExpectRefused(mrope, R"("head_dim": 512)", "head_dim must be");
  ExpectRefused(R"("num_attention_heads": 12)", R"("num_attention_heads": 192, "head_dim": 16)",
                "96 heads share a KV head; at most 64");
  ExpectRefused(R"("bfloat16")", R"("float64")",
                "torch_dtype must be bfloat16, float16 or float32");
}

TEST(ModelConfigTest, NumbersOutOfSenseAreRefusedByName) {
  ExpectRefused(R"("hidden_size": 1536,)", "", "hidden_size is missing");
  ExpectRefused(R"("vocab_size": 151936)", R"("vocab_size": 0)", "vocab_size must be an integer");
  ExpectRefused(R"("vocab_size": 151936)", R"("vocab_size": -5)", "vocab_size must be an integer");
  ExpectRefused(R"("vocab_size": 151936)", R"("vocab_size": 1.5)", "vocab_size must be an integer");
  ExpectRefused(R"("vocab_size": 151936)", R"("vocab_size": 9e18)",
                "vocab_size must be an integer");
  ExpectRefused(R"("vocab_size": 151936)", R"("vocab_size": "many")", "vocab_size must be");
  ExpectRefused(R"("intermediate_size": 8960)", R"("intermediate_size": 8961)", "must be even");
  ExpectRefused(R"("num_hidden_layers": 28)", R"("num_hidden_layers": 100000)",
                "num_hidden_layers must be an integer between 1 and 1024");
  ExpectRefused("1e-06", "0", "rms_norm_eps must be between");
  ExpectRefused("1e-06", "\"x\"", "rms_norm_eps must be a finite number");
  ExpectRefused(R"("rope_theta": 10000)", R"("rope_theta": 0)", "rope_theta must be above 1");
  ExpectRefused(R"("use_sliding_window": false)", R"("use_sliding_window": 1)",
                "use_sliding_window must be true or false");
  ExpectRefused(R"("hidden_act": "silu")", R"("hidden_act": "silu", "hidden_act": "silu")",
                "\"hidden_act\" stands twice");
}

TEST(ModelConfigTest, HarmlessVariantsAreTaken) {
  const auto taken = [](const std::string& from, const std::string& to) {
    const auto config = ParseModelConfig("c", absl::StrReplaceAll(kR1, {{from, to}}));
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? *config : ModelConfig{};
  };
  // A window at least as long as the context, or behind the last layer, is none.
  taken(R"("sliding_window": 4096)", R"("sliding_window": 131072, "x": 1)");
  taken(R"("use_sliding_window": false)", R"("use_sliding_window": false, "sliding_window2": 7)");
  taken(R"("max_window_layers": 21)", R"("max_window_layers": 28)");
  taken(R"("use_mrope": false)", R"("rope_scaling": null)");
  taken(R"("use_mrope": false)", R"("rope_scaling": {"rope_type": "default"})");
  taken(R"("use_mrope": false)", R"("layer_types": ["full_attention"])");
  EXPECT_EQ(taken(R"("rope_theta": 10000)", R"("rope_parameters": {"rope_theta": 1e6})").rope_theta,
            1e6);
  EXPECT_EQ(taken(R"("torch_dtype": "bfloat16")", R"("dtype": "float16")").dtype, DType::kFloat16);
  EXPECT_EQ(taken(R"("use_mrope": false)", R"("head_dim": 64)").head_dim, 64);
  EXPECT_TRUE(taken(R"("tie_word_embeddings": false)", R"("tie_word_embeddings": true)").tied_head);
}

TEST(ModelConfigTest, PublishedDirectoriesAreTaken) {
  const char* data = std::getenv("WEFT_TEST_DATA");
  const std::filesystem::path root =
      data ? data : std::filesystem::path(WEFT_SOURCE_DIR) / "../shared";
  if (!std::filesystem::exists(root / "models")) {
    GTEST_SKIP() << "no published model directories: " << root / "models";
  }
  for (const char* name : {"DeepSeek-R1-Distill-Qwen-1.5B", "Qwen2.5-1.5B-Instruct"}) {
    const std::string dir = root / "models" / name;
    const auto config = LoadModelConfig(dir);
    ASSERT_TRUE(config.ok()) << config.status();
    const auto vocab_size = LoadTokenizerVocabSize(dir, *config);
    ASSERT_TRUE(vocab_size.ok()) << vocab_size.status();
    EXPECT_EQ(*vocab_size, 151665) << name;
  }
}

TEST(TokenizerVocabSize, IsOnePastTheLastIdOrAnError) {
  TempDir dir;
  const ModelConfig config = TinyModel{.vocab_size = 10}.Config();
  EXPECT_EQ(*LoadTokenizerVocabSize(dir.path(), config), 10) << "no tokenizer: every row";
  const auto size = [&](const std::string& json) {
    dir.Write("tokenizer.json", json);
    return LoadTokenizerVocabSize(dir.path(), config);
  };
  EXPECT_EQ(*size(R"({"model":{"vocab":{"a":0,"b":6}},"added_tokens":[{"id":3}]})"), 7);
  EXPECT_EQ(*size(R"({"model":{"vocab":{"a":0,"b":6}},"added_tokens":[{"id":9}]})"), 10);
  EXPECT_EQ(*size(R"({"model":{"vocab":{"a":4}}})"), 5);
  const auto refused = [&](const std::string& json) {
    return std::string(size(json).status().message());
  };
  EXPECT_THAT(refused(R"({"model":{"vocab":{"a":10}}})"), HasSubstr("knows id 10"));
  EXPECT_THAT(refused(R"({"model":{"vocab":[]}})"), HasSubstr("model.vocab"));
  EXPECT_THAT(refused(R"({"model":{"vocab":{}}})"), HasSubstr("empty"));
  EXPECT_THAT(refused(R"({"model":{"vocab":{"a":"b"}}})"), HasSubstr("no integer"));
  EXPECT_THAT(refused(R"({"model":{"vocab":{"a":1}},"added_tokens":[{}]})"), HasSubstr("no id"));
  EXPECT_THAT(refused("{"), HasSubstr("not JSON"));
}

}  // namespace
}  // namespace weft::worker
