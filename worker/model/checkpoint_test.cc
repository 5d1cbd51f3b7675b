// Checkpoints of one file or several, and weights made up instead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "worker/model/testing.h"
#include "worker/model/weight_source.h"

namespace weft::worker {
namespace {

using testing::DummyTensors;
using ::testing::HasSubstr;
using testing::SafetensorsBytes;
using testing::TempDir;
using testing::TensorData;
using testing::TinyModel;

class CheckpointTest : public ::testing::Test {
 protected:
  absl::Status Open() { return OpenCheckpoint(dir_.path(), Qwen2Tensors(config_)).status(); }

  void ExpectRefused(const std::string& why) {
    const auto status = Open();
    EXPECT_FALSE(status.ok()) << why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  void WriteSingle(const std::vector<TensorData>& tensors) {
    dir_.Write("model.safetensors", SafetensorsBytes(tensors));
  }

  // Tensors alternate between two shards; `index` gets what the index says.
  void WriteShards(const std::string& index_of_norm = "b.safetensors") {
    std::vector<TensorData> shards[2];
    std::string map;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const bool is_norm = tensors_[i].name == "model.norm.weight";
      shards[is_norm ? 1 : i % 2].push_back(tensors_[i]);
      absl::StrAppend(&map, i ? "," : "", "\"", tensors_[i].name, "\":\"",
                      is_norm ? index_of_norm
                      : i % 2 ? "b.safetensors"
                              : "a.safetensors",
                      "\"");
    }
    dir_.Write("a.safetensors", SafetensorsBytes(shards[0]));
    dir_.Write("b.safetensors", SafetensorsBytes(shards[1]));
    dir_.Write("model.safetensors.index.json", absl::StrCat("{\"weight_map\":{", map, "}}"));
  }

  TempDir dir_;
  TinyModel shape_;
  ModelConfig config_ = shape_.Config();
  std::vector<TensorData> tensors_ = DummyTensors(config_);
};

TEST_F(CheckpointTest, OneFileAndShardsGiveTheSameWeights) {
  WriteShards();
  const auto sharded = OpenCheckpoint(dir_.path(), Qwen2Tensors(config_));
  ASSERT_TRUE(sharded.ok()) << sharded.status();
  TempDir other;
  other.Write("model.safetensors", SafetensorsBytes(tensors_));
  const auto single = OpenCheckpoint(other.path(), Qwen2Tensors(config_));
  ASSERT_TRUE(single.ok()) << single.status();
  EXPECT_EQ(*(*sharded)->Fingerprint(), *(*single)->Fingerprint());
  for (const TensorSpec& spec : Qwen2Tensors(config_)) {
    std::vector<float> a(spec.num_elements()), b(spec.num_elements());
    ASSERT_TRUE((*sharded)->Read(spec, DType::kFloat32, a.data()).ok());
    ASSERT_TRUE((*single)->Read(spec, DType::kFloat32, b.data()).ok());
    EXPECT_EQ(a, b) << spec.name;
  }
}

TEST_F(CheckpointTest, AnIndexThatDoesNotFitItsShardsIsRefused) {
  for (const char* name : {"../a.safetensors", "/etc/passwd", "sub/a.safetensors", "",
                           ".safetensors", "pytorch_model.bin"}) {
    WriteShards(name);
    ExpectRefused("no safetensors file of this directory");
  }
  WriteShards();
  std::filesystem::remove(dir_ / "b.safetensors");
  ExpectRefused("b.safetensors: missing");
  WriteShards("a.safetensors");
  ExpectRefused("tensor model.norm.weight is in b.safetensors and, as the index has it, in a");
  WriteShards();
  dir_.Write("b.safetensors", SafetensorsBytes(tensors_));
  ExpectRefused("b.safetensors");  // holds a's tensors, too
  dir_.Write("model.safetensors.index.json", "{\"weight_map\":[]}");
  ExpectRefused("weight_map must be an object");
  dir_.Write("model.safetensors.index.json", "{\"weight_map\":{\"x\":1}}");
  ExpectRefused("tensor x has no file name");
  dir_.Write("model.safetensors.index.json",
             "{\"weight_map\":{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}}");
  ExpectRefused("\"x\" stands twice");
}

TEST_F(CheckpointTest, ADirectoryWithoutSafetensorsSaysWhatItLooksFor) {
  ExpectRefused("neither model.safetensors nor model.safetensors.index.json");
}

TEST_F(CheckpointTest, WrongTensorsAreRefusedByName) {
  const auto without = [&](const std::string& name) {
    auto tensors = tensors_;
    std::erase_if(tensors, [&](const TensorData& t) { return t.name == name; });
    return tensors;
  };
  WriteSingle(without("model.layers.1.self_attn.k_proj.bias"));
  ExpectRefused("tensor model.layers.1.self_attn.k_proj.bias is missing");

  auto tensors = tensors_;
  tensors.push_back({"model.layers.0.self_attn.q_norm.weight", "F32", {1}, "1234"});
  WriteSingle(tensors);
  ExpectRefused("tensor model.layers.0.self_attn.q_norm.weight has no place");

  tensors = tensors_;
  std::swap(tensors[0].shape[0], tensors[0].shape[1]);
  WriteSingle(tensors);
  ExpectRefused(
      "tensor model.embed_tokens.weight has shape [64, 97]; config.json makes it [97, 64]");

  tensors = tensors_;
  tensors[0].dtype = "I32";
  WriteSingle(tensors);
  ExpectRefused("tensor model.embed_tokens.weight is of type I32; BF16, F16 and F32");
}

TEST_F(CheckpointTest, AHeadBesideATiedEmbeddingIsIgnored) {
  tensors_.push_back({"lm_head.weight", "F32", {1}, "1234"});
  tensors_.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {1}, "1234"});
  WriteSingle(tensors_);
  EXPECT_TRUE(Open().ok()) << Open();
}

TEST_F(CheckpointTest, UntiedModelsNeedTheirHead) {
  shape_.tied_head = false;
  config_ = shape_.Config();
  WriteSingle(tensors_);
  ExpectRefused("tensor lm_head.weight is missing");
  WriteSingle(DummyTensors(config_));
  EXPECT_TRUE(Open().ok()) << Open();
}

TEST(ConvertNumbers, RoundsToNearestEvenAndBack) {
  const std::vector<float> exact = {
      0, 1, -1.5f, 0.15625f, -65504, std::ldexp(1.0f, -14), INFINITY, -INFINITY};
  for (DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    std::vector<uint16_t> stored(exact.size());
    std::vector<float> back(exact.size());
    ConvertNumbers(exact.data(), DType::kFloat32, stored.data(), dtype, exact.size());
    ConvertNumbers(stored.data(), dtype, back.data(), DType::kFloat32, exact.size());
    for (size_t i = 0; i < exact.size(); ++i) {
      if (dtype == DType::kBFloat16 && exact[i] == -65504) continue;  // 11 bits
      EXPECT_EQ(back[i], exact[i]);
    }
  }
  // Halfway: to the even neighbour. 1 + 2^-8 -> 1; 1 + 3 * 2^-8 -> 1 + 2^-6.
  const float halfway[3] = {1 + 0x1p-8f, 1 + 0x3p-8f, NAN};
  uint16_t bf16[3];
  ConvertNumbers(halfway, DType::kFloat32, bf16, DType::kBFloat16, 3);
  EXPECT_EQ(bf16[0], 0x3f80);
  EXPECT_EQ(bf16[1], 0x3f82);
  EXPECT_GT(bf16[2] & 0x7fff, 0x7f80) << "a NaN stays one";
  // Subnormal halves, and what float16 cannot hold.
  const uint16_t halves[3] = {0x0001, 0x83ff, 0x7c00};
  float wide[3];
  ConvertNumbers(halves, DType::kFloat16, wide, DType::kFloat32, 3);
  EXPECT_EQ(wide[0], 0x1p-24f);
  EXPECT_EQ(wide[1], -1023 * 0x1p-24f);
  EXPECT_EQ(wide[2], INFINITY);
}

// Ranges that start and end anywhere give the same numbers as the whole tensor.
void ExpectRangesOfWhole(const WeightSource& source, const TensorSpec& spec, DType dtype) {
  SCOPED_TRACE(absl::StrCat(spec.name, " as ", NameOf(dtype)));
  const int64_t count = spec.num_elements(), bytes = BytesOf(dtype);
  std::string whole(count * bytes, '\0');
  ASSERT_TRUE(source.Read(spec, dtype, whole.data()).ok());
  for (const NumberRange range :
       {NumberRange{0, 0}, NumberRange{0, 1}, NumberRange{1, count - 1}, NumberRange{count, 0},
        NumberRange{count / 3, count / 2}, NumberRange{count - 1, 1}}) {
    std::string part(range.count * bytes, '\0');
    ASSERT_TRUE(source.ReadRange(spec, dtype, range, part.data()).ok());
    EXPECT_EQ(part, whole.substr(range.first * bytes, range.count * bytes)) << range.first;
  }
}

TEST_F(CheckpointTest, ARangeIsThatPartOfTheTensor) {
  WriteSingle(tensors_);
  const auto source = OpenCheckpoint(dir_.path(), Qwen2Tensors(config_));
  ASSERT_TRUE(source.ok()) << source.status();
  for (const TensorSpec& spec : Qwen2Tensors(config_)) {
    for (DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      ExpectRangesOfWhole(**source, spec, dtype);
    }
  }
}

TEST(DummyWeights, ARangeIsThatPartOfTheTensor) {
  const auto source = MakeDummyWeights();
  for (DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    ExpectRangesOfWhole(*source, {"m.weight", {3, 5000}}, dtype);
    ExpectRangesOfWhole(*source, {"m.bias", {17}}, dtype);
    ExpectRangesOfWhole(*source, {"norm.weight", {17}}, dtype);
  }
}

TEST(DummyWeights, AreAFunctionOfNameAndIndex) {
  const auto source = MakeDummyWeights();
  std::vector<float> a(3 * 5000), again(3 * 5000), other(3 * 5000);
  ASSERT_TRUE(source->Read({"m.weight", {3, 5000}}, DType::kFloat32, a.data()).ok());
  ASSERT_TRUE(source->Read({"m.weight", {3, 5000}}, DType::kFloat32, again.data()).ok());
  ASSERT_TRUE(source->Read({"n.weight", {3, 5000}}, DType::kFloat32, other.data()).ok());
  EXPECT_EQ(a, again);
  EXPECT_NE(a, other);
  double sum = 0, squares = 0;
  for (float x : a) {
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 15000, 0, 1e-3);
  EXPECT_NEAR(squares / 15000, 1.0 / 5000, 1e-5);  // variance 1 / columns
}

}  // namespace
}  // namespace weft::worker
