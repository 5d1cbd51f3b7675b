#include "common/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GenerationConfigTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir_); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }
  auto Load() { return LoadGenerationConfig(dir_.string()); }

  const std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / ("weft-generation-" + std::to_string(::getpid()));
};

TEST_F(GenerationConfigTest, R1sIsReadWhole) {
  Write("config.json", R"({"bos_token_id": 151643, "eos_token_id": 7})");
  Write("generation_config.json",
        R"({"_from_model_config": true, "bos_token_id": 151646, "eos_token_id": 151643,
            "do_sample": true, "temperature": 0.6, "top_p": 0.95})");
  const auto config = Load();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->eos_token_ids, ElementsAre(151643));
  EXPECT_EQ(config->bos_token_id, 151646);
  EXPECT_EQ(config->do_sample, true);
  EXPECT_FLOAT_EQ(*config->temperature, 0.6f);
  EXPECT_FLOAT_EQ(*config->top_p, 0.95f);
  EXPECT_FALSE(config->top_k || config->repetition_penalty || config->pad_token_id);
}

TEST_F(GenerationConfigTest, SeveralEndsAndEveryDefaultOfQwen) {
  Write("generation_config.json",
        R"({"eos_token_id": [151645, 151643], "pad_token_id": 151643, "do_sample": true,
            "repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20})");
  const auto config = Load();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->eos_token_ids, ElementsAre(151645, 151643));
  EXPECT_EQ(config->top_k, 20);
  EXPECT_FLOAT_EQ(*config->repetition_penalty, 1.1f);
}

TEST_F(GenerationConfigTest, WithoutItTheEndIsConfigJsons) {
  Write("config.json", R"({"bos_token_id": 151643, "eos_token_id": 151645})");
  const auto config = Load();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->eos_token_ids, ElementsAre(151645));
  EXPECT_FALSE(config->bos_token_id) << "config.json's BOS is not to be trusted";
}

TEST_F(GenerationConfigTest, WhatIsWrongIsNamed) {
  Write("generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_THAT(std::string(Load().status().message()), HasSubstr("eos_token_id must be"));
  Write("generation_config.json", R"({"eos_token_id": 1, "top_p": 1.5})");
  EXPECT_THAT(std::string(Load().status().message()), HasSubstr("top_p is out of range"));
  Write("generation_config.json", R"({"eos_token_id": -1})");
  EXPECT_FALSE(Load().ok());
  Write("generation_config.json", "{");
  EXPECT_THAT(std::string(Load().status().message()),
              HasSubstr("generation_config.json: not JSON"));
}

}  // namespace
}  // namespace weft
