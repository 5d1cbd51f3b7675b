#include "worker/model/safetensors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"
#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SafetensorsBytes;
using testing::TempDir;

class Safetensors : public ::testing::Test {
 protected:
  absl::StatusOr<SafetensorsFile> Open(const std::string& bytes) {
    dir_.Write("a.safetensors", bytes);
    return SafetensorsFile::Open(dir_ / "a.safetensors");
  }

  void ExpectRefused(const std::string& bytes, const std::string& why) {
    const auto file = Open(bytes);
    ASSERT_FALSE(file.ok()) << why;
    const std::string message(file.status().message());
    EXPECT_THAT(message, HasSubstr("a.safetensors"));
    EXPECT_THAT(message, HasSubstr(why));
  }

  // A header for tensors "x" and "y" with these fields.
  static std::string Two(const std::string& x, const std::string& y) {
    return absl::StrCat("{\"x\":{", x, "},\"y\":{", y, "}}");
  }

  TempDir dir_;
};

TEST_F(Safetensors, TensorsAreReadFromAnyOffset) {
  const std::string data = "abcdefgh12345678";
  for (int padding = 0; padding < 8; ++padding) {
    const auto file = Open(SafetensorsBytes(
        {{"x", "F32", {2}, data.substr(0, 8)}, {"y", "BF16", {2, 2}, data.substr(8)}}, padding));
    ASSERT_TRUE(file.ok()) << file.status();
    const StoredTensor& y = file->tensors().at("y");
    EXPECT_THAT(y.shape, ElementsAre(2, 2));
    std::string bytes(8, '\0');
    ASSERT_TRUE(file->Read(y.offset, 8, bytes.data()).ok());
    EXPECT_EQ(bytes, "12345678");
  }
}

TEST_F(Safetensors, MetadataScalarsAndEmptyTensorsAreSound) {
  const auto file = Open(SafetensorsBytes(
      R"({"__metadata__":{"format":"pt"},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
      R"("none":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]}})",
      "1234"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors().size(), 2u);
}

TEST_F(Safetensors, TruncatedAndOverlongFilesAreRefused) {
  const std::string sound =
      SafetensorsBytes({{"x", "F32", {4}, std::string(16, 'x')}, {"y", "F32", {1}, "yyyy"}});
  // At any length but the whole, something is missing, and it says so.
  for (size_t length = 0; length < sound.size(); ++length) {
    EXPECT_FALSE(Open(sound.substr(0, length)).ok()) << length;
  }
  ExpectRefused(sound.substr(0, sound.size() - 1), "tensor y ends at byte 20");
  ExpectRefused(sound.substr(0, 30), "truncated?");
  ExpectRefused(sound.substr(0, 5), "only 5 bytes");
  ExpectRefused(sound + "z", "the last 1 bytes");
}

TEST_F(Safetensors, HeadersTooLongAreRefusedUnread) {
  std::string bytes(16, '\xff');
  ExpectRefused(bytes, "at most 100000000");
  const uint64_t length = 100'000'001;
  std::memcpy(bytes.data(), &length, 8);
  ExpectRefused(bytes, "100000001");
  const uint64_t beyond = 9;
  std::memcpy(bytes.data(), &beyond, 8);
  ExpectRefused(bytes, "a header of 9 bytes in a file of 16");
}

TEST_F(Safetensors, HeadersThatAreNoHeaderAreRefused) {
  ExpectRefused(SafetensorsBytes(std::string(), ""), "does not start with '{'");
  ExpectRefused(SafetensorsBytes(" {}", ""), "does not start with '{'");
  ExpectRefused(SafetensorsBytes("[]", ""), "does not start with '{'");
  ExpectRefused(SafetensorsBytes("{\"x\":", ""), "not JSON");
  ExpectRefused(SafetensorsBytes("{}{}", ""), "not JSON");
  ExpectRefused(SafetensorsBytes("{\"x\":" + std::string(100'000, '['), ""), "not JSON");
  ExpectRefused(SafetensorsBytes("{\"x\":3}", ""), "tensor x is no object");
}

TEST_F(Safetensors, ANameTwiceIsRefused) {
  const std::string tensor = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  ExpectRefused(SafetensorsBytes(absl::StrCat("{\"x\":", tensor, ",\"x\":", tensor, "}"), "1234"),
                "\"x\" stands twice");
  ExpectRefused(
      SafetensorsBytes(R"({"x":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})",
                       "1234"),
      "\"shape\" stands twice");
}

TEST_F(Safetensors, OddFieldsAreRefusedWithTheTensorsName) {
  const std::string y = R"("dtype":"F32","shape":[1],"data_offsets":[4,8])";
  const auto refused = [&](const std::string& x, const std::string& why) {
    ExpectRefused(SafetensorsBytes(Two(x, y), "12345678"), "tensor x " + why);
  };
  refused(R"("dtype":"F4","shape":[1],"data_offsets":[0,4])", "has an unknown dtype \"F4\"");
  refused(R"("dtype":7,"shape":[1],"data_offsets":[0,4])", "has an unknown dtype 7");
  refused(R"("shape":[1],"data_offsets":[0,4])", "has an unknown dtype");
  refused(R"("dtype":"F32","data_offsets":[0,4])", "has no shape");
  refused(R"("dtype":"F32","shape":4,"data_offsets":[0,4])", "has no shape");
  refused(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", "has the shape [-1]");
  refused(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])", "has the shape");
  refused(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])", "has the shape");
  refused(R"("dtype":"F32","shape":[1])", "has no data_offsets");
  refused(R"("dtype":"F32","shape":[1],"data_offsets":[0])", "has no data_offsets");
  refused(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", "has the data_offsets [4,0]");
  refused(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])", "has the data_offsets");
  refused(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1)", "has an unknown field");
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])",
          "takes 4 bytes; its dtype and shape");
  refused(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])",
          "has a shape that overflows");
  refused(R"("dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4])",
          "has a shape that overflows");
  refused(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4])", "has the shape");
  refused(R"("dtype":"F32","shape":[1],"data_offsets":[6,10])", "ends at byte 10");
}

TEST_F(Safetensors, TensorsThatOverlapOrLeaveAGapAreRefused) {
  const auto refused = [&](int x_begin, int y_begin, const std::string& why) {
    const auto fields = [](int begin) {
      return absl::StrCat(R"("dtype":"F32","shape":[1],"data_offsets":[)", begin, ",", begin + 4,
                          "]");
    };
    ExpectRefused(SafetensorsBytes(Two(fields(x_begin), fields(y_begin)), "12345678"), why);
  };
  refused(0, 2, "tensor y starts at byte 2 of the data, inside the tensor before it");
  refused(0, 0, "starts at byte 0 of the data, inside");
  refused(0, 3, "tensor y starts at byte 3");
  refused(1, 0, "inside the tensor before it");
}

TEST_F(Safetensors, AGapIsRefused) {
  ExpectRefused(SafetensorsBytes(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                                 "123"),
                "tensor y starts at byte 2 of the data; bytes from 1 on belong to no tensor");
  ExpectRefused(SafetensorsBytes(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "12"),
                "bytes from 0 on");
}

TEST_F(Safetensors, WhatIsNoFileIsRefused) {
  EXPECT_TRUE(absl::IsNotFound(SafetensorsFile::Open(dir_ / "absent").status()));
  EXPECT_FALSE(SafetensorsFile::Open(dir_.path()).ok());
}

TEST_F(Safetensors, AFileThatShrinksLaterIsAnErrorNotACrash) {
  const auto file = Open(SafetensorsBytes({{"x", "F32", {4}, std::string(16, 'x')}}));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(::truncate((dir_ / "a.safetensors").c_str(), file->tensors().at("x").offset + 8), 0);
  char bytes[16];
  EXPECT_FALSE(file->Read(file->tensors().at("x").offset, 16, bytes).ok());
}

// The published R1-Distill-Qwen-1.5B file: 3,554,214,621 bytes, a header of 38,613,
// so that every tensor starts at an odd byte. Sparse: nothing of it on disk but the
// header and the marks that the test sets.
TEST_F(Safetensors, TheLayoutOfR1IsReadRight) {
  constexpr int64_t kHeaderBytes = 38'613, kFileBytes = 3'554'214'621;
  const auto config = ParseModelConfig("r1", R"({
    "architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936, "hidden_size": 1536,
    "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
    "num_key_value_heads": 2, "max_position_embeddings": 131072, "torch_dtype": "bfloat16"})");
  ASSERT_TRUE(config.ok()) << config.status();
  std::vector<TensorSpec> specs = Qwen2Tensors(*config);
  EXPECT_EQ(specs.size(), 339u);
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  int64_t end = 0;
  for (const TensorSpec& spec : specs) {
    const int64_t begin = end;
    end += spec.num_elements() * 2;
    absl::StrAppend(&header, ",\"", spec.name, "\":{\"dtype\":\"BF16\",\"shape\":[", spec.shape[0],
                    spec.shape.size() > 1 ? absl::StrCat(",", spec.shape[1]) : "",
                    "],\"data_offsets\":[", begin, ",", end, "]}");
  }
  header += "}";
  ASSERT_LE(static_cast<int64_t>(header.size()), kHeaderBytes);
  header.resize(kHeaderBytes, ' ');
  ASSERT_EQ(8 + kHeaderBytes + end, kFileBytes);

  dir_.Write("model.safetensors", SafetensorsBytes(header, ""));
  const std::string path = dir_ / "model.safetensors";
  ASSERT_EQ(::truncate(path.c_str(), kFileBytes), 0);
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 1 << 20) << "not sparse here";

  // Two numbers at the end of a norm in the middle, and the file's last.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const auto opened = SafetensorsFile::Open(path);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const StoredTensor& norm = opened->tensors().at("model.layers.13.input_layernorm.weight");
  EXPECT_EQ(norm.offset % 2, 1);
  const uint16_t marks[2] = {0x3fc0, 0xbf20};  // 1.5, -0.625
  ASSERT_EQ(::pwrite(fd, marks, 4, norm.offset + norm.bytes - 4), 4);
  ASSERT_EQ(::pwrite(fd, marks, 2, kFileBytes - 2), 2);
  ::close(fd);

  const auto checkpoint = OpenCheckpoint(dir_.path(), specs);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const TensorSpec spec = {"model.layers.13.input_layernorm.weight", {1536}};
  std::vector<uint16_t> bf16(1536);
  ASSERT_TRUE((*checkpoint)->Read(spec, DType::kBFloat16, bf16.data()).ok());
  EXPECT_EQ(bf16[1533], 0);
  EXPECT_EQ(bf16[1534], 0x3fc0);
  EXPECT_EQ(bf16[1535], 0xbf20);
  std::vector<float> f32(1536);
  ASSERT_TRUE((*checkpoint)->Read(spec, DType::kFloat32, f32.data()).ok());
  EXPECT_EQ(f32[1534], 1.5f);
  EXPECT_EQ(f32[1535], -0.625f);
  uint16_t last = 0;
  ASSERT_TRUE(opened->Read(kFileBytes - 2, 2, &last).ok());
  EXPECT_EQ(last, 0x3fc0);
}

}  // namespace
}  // namespace weft::worker
