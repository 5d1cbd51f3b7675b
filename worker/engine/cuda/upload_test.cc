#include "worker/engine/cuda/upload.h"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using testing::DummyTensors;
using testing::SafetensorsBytes;
using testing::TempDir;
using testing::TinyModel;

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

// Device memory for tensors, one after another.
class Targets {
 public:
  Targets(const std::vector<TensorSpec>& specs, DType dtype) {
    for (const TensorSpec& spec : specs) {
      void* target = nullptr;
      EXPECT_EQ(cudaMalloc(&target, Bytes(spec, dtype)), cudaSuccess);
      EXPECT_EQ(cudaMemset(target, 0xff, Bytes(spec, dtype)), cudaSuccess);
      items_.push_back({.tensor = spec, .dtype = dtype, .target = target});
    }
  }
  ~Targets() {
    for (const UploadItem& item : items_) cudaFree(item.target);
  }

  const std::vector<UploadItem>& items() const { return items_; }
  int64_t num_bytes() const {
    int64_t bytes = 0;
    for (const UploadItem& item : items_) bytes += Bytes(item.tensor, item.dtype);
    return bytes;
  }

  void ExpectEqual(const WeightSource& source) const {
    for (const UploadItem& item : items_) {
      std::string expected(Bytes(item.tensor, item.dtype), '\0'), got(expected);
      ASSERT_TRUE(source.Read(item.tensor, item.dtype, expected.data()).ok());
      ASSERT_EQ(cudaMemcpy(got.data(), item.target, got.size(), cudaMemcpyDeviceToHost),
                cudaSuccess);
      EXPECT_TRUE(got == expected) << item.tensor.name << " as " << NameOf(item.dtype);
    }
  }

 private:
  static int64_t Bytes(const TensorSpec& spec, DType dtype) {
    return spec.num_elements() * BytesOf(dtype);
  }
  std::vector<UploadItem> items_;
};

// Numbers until a tensor of that name is asked for.
class FailingSource : public WeightSource {
 public:
  explicit FailingSource(std::string name) : name_(std::move(name)) {}
  absl::Status ReadRange(const TensorSpec& tensor, DType dtype, NumberRange range,
                         void* out) const override {
    ++num_reads;
    if (tensor.name == name_) return absl::DataLossError("the disk is gone");
    std::memset(out, 0, range.count * BytesOf(dtype));
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Fingerprint() const override { return std::string(); }

  mutable std::atomic<int> num_reads{0};

 private:
  std::string name_;
};

class UploadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) GTEST_SKIP() << "needs a GPU";
  }
};

TEST_F(UploadTest, ACheckpointArrivesInAnyType) {
  const ModelConfig config = TinyModel{.dtype = "bfloat16"}.Config();
  TempDir dir;
  // One space more: every tensor starts at an odd byte.
  for (int padding : {0, 1}) {
    dir.Write("model.safetensors", SafetensorsBytes(DummyTensors(config), padding));
    const auto source = OpenCheckpoint(dir.path(), Qwen2Tensors(config));
    ASSERT_TRUE(source.ok()) << source.status();
    for (DType dtype : kTypes) {
      for (int num_threads : {0, 1, 3}) {
        const Targets targets(Qwen2Tensors(config), dtype);
        const auto status = UploadWeights(**source, targets.items(), {.num_threads = num_threads});
        ASSERT_TRUE(status.ok()) << status;
        targets.ExpectEqual(**source);
      }
    }
  }
}

// Several pieces, the last of them short.
TEST_F(UploadTest, LargeTensorsComeInPieces) {
  const auto source = MakeDummyWeights();
  const Targets targets({{"a.weight", {5001, 4097}}, {"b.bias", {7}}, {"none", {0}}},
                        DType::kBFloat16);
  ASSERT_TRUE(UploadWeights(*source, targets.items(), {}).ok());
  targets.ExpectEqual(*source);
}

TEST_F(UploadTest, TheDeviceMakesTheHostsDummyWeights) {
  const std::vector<TensorSpec> specs = {
      {"a.weight", {301, 4097}}, {"b.bias", {1003}}, {"norm.weight", {9}}};
  for (DType dtype : kTypes) {
    const Targets targets(specs, dtype);
    ASSERT_TRUE(UploadDummyWeights(targets.items()).ok());
    targets.ExpectEqual(*MakeDummyWeights());
  }
}

TEST_F(UploadTest, ProgressGrowsToTheWhole) {
  const Targets targets({{"a.weight", {3000, 4096}}, {"b.bias", {7}}}, DType::kBFloat16);
  std::atomic<int> num_inside{0};
  int64_t last = 0;
  const auto progress = [&](int64_t num_done_bytes, int64_t num_bytes) {
    EXPECT_EQ(++num_inside, 1) << "two threads at once";
    EXPECT_GT(num_done_bytes, last);
    EXPECT_EQ(num_bytes, targets.num_bytes());
    last = num_done_bytes;
    --num_inside;
  };
  ASSERT_TRUE(UploadWeights(*MakeDummyWeights(), targets.items(), {.on_progress = progress}).ok());
  EXPECT_EQ(last, targets.num_bytes());
}

TEST_F(UploadTest, TheFirstErrorComesBackAndTheOthersStop) {
  std::vector<TensorSpec> specs;
  for (int i = 0; i < 1000; ++i) specs.push_back({absl::StrCat("t", i), {64}});
  const Targets targets(specs, DType::kFloat32);
  const FailingSource source("t0");
  const auto status = UploadWeights(source, targets.items(), {.num_threads = 2});
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_LT(source.num_reads, 1000);
}

}  // namespace
}  // namespace weft::worker
