// For tests of kernels: device memory that numbers go into and come out of as floats,
// whatever their type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "worker/ops/dtype.h"

namespace weft::worker::ops::cuda {

inline bool HasGpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

// What `value` becomes as a number of `dtype`.
inline float Rounded(float value, DType dtype) {
  if (dtype == DType::kBFloat16) return __bfloat162float(__float2bfloat16(value));
  if (dtype == DType::kFloat16) return __half2float(__float2half(value));
  return value;
}

// Largest relative error of one rounding.
inline double RoundingOf(DType dtype) {
  return dtype == DType::kBFloat16 ? 0x1p-8 : dtype == DType::kFloat16 ? 0x1p-11 : 0x1p-24;
}

// Normal numbers that `dtype` can hold.
inline std::vector<float> RandomNumbers(size_t count, DType dtype, std::mt19937& random,
                                        float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = Rounded(normal(random), dtype);
  return values;
}

// `count` things of device memory with the given content; owns it.
template <class T>
class DeviceValues {
 public:
  explicit DeviceValues(const std::vector<T>& values) : size_(values.size()) {
    EXPECT_EQ(cudaMalloc(&data_, size_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  ~DeviceValues() { cudaFree(data_); }
  DeviceValues(const DeviceValues&) = delete;
  DeviceValues& operator=(const DeviceValues&) = delete;

  // Waits for the device first.
  std::vector<T> Read() const {
    std::vector<T> values(size_);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return values;
  }
  T* data() const { return static_cast<T*>(data_); }

 private:
  size_t size_;
  void* data_ = nullptr;
};

// Numbers of `dtype` in device memory.
class DeviceNumbers {
 public:
  DeviceNumbers(const std::vector<float>& values, DType dtype)
      : dtype_(dtype), count_(values.size()), bytes_(Encode(values, dtype)) {}

  std::vector<float> Read() const {
    const std::vector<uint8_t> bytes = bytes_.Read();
    std::vector<float> values(count_);
    for (size_t i = 0; i < count_; ++i) values[i] = Decode(bytes.data(), i);
    return values;
  }
  void* data() const { return bytes_.data(); }

 private:
  static std::vector<uint8_t> Encode(const std::vector<float>& values, DType dtype) {
    std::vector<uint8_t> bytes(values.size() * BytesOf(dtype));
    for (size_t i = 0; i < values.size(); ++i) {
      if (dtype == DType::kFloat32) reinterpret_cast<float*>(bytes.data())[i] = values[i];
      if (dtype == DType::kBFloat16) {
        reinterpret_cast<__nv_bfloat16*>(bytes.data())[i] = __float2bfloat16(values[i]);
      }
      if (dtype == DType::kFloat16) {
        reinterpret_cast<__half*>(bytes.data())[i] = __float2half(values[i]);
      }
    }
    return bytes;
  }
  float Decode(const uint8_t* bytes, size_t i) const {
    if (dtype_ == DType::kFloat32) return reinterpret_cast<const float*>(bytes)[i];
    if (dtype_ == DType::kFloat16) return __half2float(reinterpret_cast<const __half*>(bytes)[i]);
    return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(bytes)[i]);
  }

  DType dtype_;
  size_t count_;
  DeviceValues<uint8_t> bytes_;
};

}  // namespace weft::worker::ops::cuda
