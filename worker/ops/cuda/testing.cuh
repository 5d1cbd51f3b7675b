// What the kernels' tests share.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

inline bool HasGpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

inline int NumSms() {
  int count = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0), cudaSuccess);
  return count;
}

template <class T>
constexpr DType DTypeOf() {
  if (std::is_same_v<T, __nv_bfloat16>) return DType::kBFloat16;
  return std::is_same_v<T, __half> ? DType::kFloat16 : DType::kFloat32;
}

template <class T>
std::vector<T> Random(std::mt19937& random, int64_t count, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<T> values(count);
  for (T& value : values) value = T(normal(random));
  return values;
}

// Device memory that begins as a copy of host values.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : size_(values.size()) {
    EXPECT_EQ(cudaMalloc(&data_, size_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  std::vector<T> Read() const {
    std::vector<T> values(size_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return values;
  }
  T* data() { return data_; }

 private:
  size_t size_;
  T* data_ = nullptr;
};

}  // namespace weft::worker::ops::cuda
