#include "worker/ops/cuda/blas.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "worker/ops/cuda/testing.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

class BlasTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "needs a GPU";
    path_ = std::filesystem::temp_directory_path() /
            ("weft-blas-test-" + std::to_string(::getpid())) / "sub" / "table.txt";
    Open();
  }
  void TearDown() override {
    if (!path_.empty()) std::filesystem::remove_all(path_.parent_path().parent_path());
  }

  void Open() {
    auto blas = Blas::Create({.table_path = path_.string()});
    ASSERT_TRUE(blas.ok()) << blas.status();
    blas_ = *std::move(blas);
  }

  std::string File() const {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  void Write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  // Computes a random product and compares each number with double precision.
  void ExpectProduct(const Gemm& gemm);

  std::filesystem::path path_;
  std::unique_ptr<Blas> blas_;
};

void BlasTest::ExpectProduct(const Gemm& gemm) {
  SCOPED_TRACE(Blas::Describe(gemm, {}));
  std::mt19937 random(gemm.m * 7 + gemm.n + gemm.k);
  const auto x = RandomNumbers(size_t(gemm.m) * gemm.k, gemm.dtype, random);
  const auto weight = RandomNumbers(size_t(gemm.n) * gemm.k, gemm.dtype, random);
  const auto bias = RandomNumbers(gemm.n, gemm.out_dtype, random);
  const auto out = RandomNumbers(size_t(gemm.m) * gemm.n, gemm.out_dtype, random, 10);
  DeviceNumbers device_x(x, gemm.dtype), device_weight(weight, gemm.dtype);
  DeviceNumbers device_bias(bias, gemm.out_dtype), device_out(out, gemm.out_dtype);
  const LinearPointers pointers = {.x = device_x.data(),
                                   .weight = device_weight.data(),
                                   .bias = device_bias.data(),
                                   .out = device_out.data()};
  ASSERT_EQ(blas_->Linear(gemm, pointers, nullptr), cudaSuccess) << blas_->last_error();
  const std::vector<float> got = device_out.Read();
  const double rounding = RoundingOf(gemm.out_dtype) * 1.01;
  for (int t = 0; t < gemm.m; ++t) {
    // All of a row's columns would take long where n is large.
    for (int i = t % 7; i<gemm.n; i += gemm.n> 300 ? 37 : 1) {
      const double added = gemm.accumulate ? out[size_t(t) * gemm.n + i] : 0;
      double sum = added + (gemm.has_bias ? bias[i] : 0);
      double magnitude = std::abs(sum);
      for (int j = 0; j < gemm.k; ++j) {
        const double product = double{x[size_t(t) * gemm.k + j]} * weight[size_t(i) * gemm.k + j];
        sum += product;
        magnitude += std::abs(product);
      }
      // Sums in fp32 in some order, tensor cores' truncation included; then a rounding,
      // with `accumulate` one after each addition.
      double rounded = std::abs(sum);
      if (gemm.accumulate) rounded += std::abs(sum - added);
      if (gemm.accumulate && gemm.has_bias) rounded += std::abs(sum - bias[i]);
      const double tolerance = rounded * rounding + magnitude * 2e-6;
      ASSERT_NEAR(got[size_t(t) * gemm.n + i], sum, tolerance) << "t=" << t << " i=" << i;
    }
  }
}

TEST_F(BlasTest, EqualsDoublePrecisionToItsRoundings) {
  for (DType dtype : kTypes) {
    for (DType out_dtype : {dtype, DType::kFloat32}) {
      for (bool has_bias : {false, true}) {
        for (bool accumulate : {false, true}) {
          Gemm gemm = {.dtype = dtype,
                       .out_dtype = out_dtype,
                       .n = 256,
                       .k = 1536,
                       .has_bias = has_bias,
                       .accumulate = accumulate};
          for (int m : {1, 5, 130}) ExpectProduct(WithTokens(gemm, m));
          gemm.n = 1001;  // a row of out at no particular alignment
          gemm.k = 64;
          for (int m : {1, 33}) ExpectProduct(WithTokens(gemm, m));
        }
      }
    }
  }
}

TEST_F(BlasTest, ATunedProductIsStillTheProduct) {
  const int buckets[] = {1, 16, 128};
  for (DType dtype : kTypes) {
    const Gemm gemm = {.dtype = dtype, .out_dtype = dtype, .n = 512, .k = 8960, .accumulate = true};
    ASSERT_TRUE(blas_->Tune(gemm, buckets).ok());
    for (int m : buckets) {
      const GemmChoice& choice = blas_->table().at(WithTokens(gemm, m));
      EXPECT_GT(choice.microseconds, 0);
      EXPECT_LE(choice.microseconds, choice.default_microseconds);
    }
    // In a bucket, between two, beyond the last.
    for (int m : {1, 16, 9, 100, 300}) ExpectProduct(WithTokens(gemm, m));
  }
}

TEST_F(BlasTest, NoTokensLaunchNothing) {
  EXPECT_EQ(blas_->Linear({.n = 16, .k = 16}, {}, nullptr), cudaSuccess);
}

TEST_F(BlasTest, WhatCublasRefusesIsAnErrorWithAName) {
  const Gemm gemm = {.n = 16, .k = 0, .m = 1};
  EXPECT_NE(blas_->Linear(gemm, {}, nullptr), cudaSuccess);
  EXPECT_NE(blas_->last_error().find("[1, 0]"), std::string::npos) << blas_->last_error();
}

TEST_F(BlasTest, MayBeCaptured) {
  const Gemm gemm = {.n = 64, .k = 64, .accumulate = true, .m = 4};
  const std::vector<float> ones(64 * 64, 1);
  DeviceNumbers x(ones, gemm.dtype), weight(ones, gemm.dtype), out(ones, gemm.dtype);
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t runnable;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  const LinearPointers pointers = {.x = x.data(), .weight = weight.data(), .out = out.data()};
  EXPECT_EQ(blas_->Linear(gemm, pointers, stream), cudaSuccess) << blas_->last_error();
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&runnable, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(runnable, stream), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(runnable, stream), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  const std::vector<float> got = out.Read();
  for (int i = 0; i < 4 * 64; ++i) ASSERT_EQ(got[i], 1 + 2 * 64);
  cudaGraphExecDestroy(runnable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_F(BlasTest, TheTableOutlivesTheProcess) {
  const Gemm gemm = {.n = 256, .k = 256};
  const int one[] = {1}, two[] = {1, 64};
  ASSERT_TRUE(blas_->Tune(gemm, one).ok());
  ASSERT_TRUE(blas_->SaveTable().ok());
  Open();
  ASSERT_EQ(blas_->table().size(), 1u);
  ExpectProduct(WithTokens(gemm, 1));
  ASSERT_TRUE(blas_->Tune(gemm, two).ok());  // measures the second alone
  ASSERT_TRUE(blas_->SaveTable().ok());
  const float measured = blas_->table().at(WithTokens(gemm, 1)).microseconds;
  Open();
  ASSERT_EQ(blas_->table().size(), 2u);
  EXPECT_NEAR(blas_->table().at(WithTokens(gemm, 1)).microseconds, measured, 1e-3 * measured);
}

TEST_F(BlasTest, ADamagedOrForeignFileIsIgnoredAndRewritten) {
  const Gemm gemm = {.n = 256, .k = 256};
  const int one[] = {1};
  ASSERT_TRUE(blas_->Tune(gemm, one).ok());
  ASSERT_TRUE(blas_->SaveTable().ok());
  const std::string sound = File();
  std::string flipped = sound, foreign = sound;
  flipped[sound.size() / 2] ^= 1;
  foreign.replace(foreign.find(blas_->identity()), 6, "Voodoo");
  for (const std::string& text :
       {std::string(), std::string("\0\xff{}", 4), sound.substr(0, sound.size() - 3), flipped,
        foreign, sound + sound}) {
    Write(text);
    Open();
    EXPECT_TRUE(blas_->table().empty()) << text;
    ASSERT_TRUE(blas_->Tune(gemm, one).ok());
    ASSERT_TRUE(blas_->SaveTable().ok());
    Open();
    EXPECT_EQ(blas_->table().size(), 1u);
  }
}

// ---- the file, which needs no GPU ----

TEST(GemmTable, ReadsBackWhatItWrites) {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("weft-gemm-table-test-" + std::to_string(::getpid()));
  const std::string path = folder / "table.txt";
  GemmTable table;
  GemmChoice& choice = table[{.dtype = DType::kFloat16,
                              .out_dtype = DType::kFloat32,
                              .n = 3,
                              .k = 4,
                              .has_bias = true,
                              .m = 5}];
  choice = {.workspace_bytes = 7, .num_candidates = 2, .microseconds = 1.5};
  choice.algo.data[7] = 0xfedcba9876543210;
  ASSERT_TRUE(WriteGemmTable(path, "a GPU", table).ok());
  const GemmTable read = ReadGemmTable(path, "a GPU");
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read.begin()->first, table.begin()->first);
  EXPECT_EQ(read.begin()->second.algo.data[7], choice.algo.data[7]);
  EXPECT_EQ(read.begin()->second.workspace_bytes, 7);
  EXPECT_TRUE(ReadGemmTable(path, "another GPU").empty());
  EXPECT_TRUE(ReadGemmTable(folder / "missing", "a GPU").empty());
  EXPECT_FALSE(WriteGemmTable("/proc/no/table.txt", "a GPU", table).ok());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weft::worker::ops::cuda
