// Host memory that the device reads and writes at the same address.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <new>

namespace weft::worker {

template <class T>
class PinnedArray {
 public:
  // Not filled. Throws std::bad_alloc.
  explicit PinnedArray(int64_t count) {
    void* data = nullptr;
    if (cudaHostAlloc(&data, count * sizeof(T), cudaHostAllocMapped) != cudaSuccess) {
      cudaGetLastError();
      throw std::bad_alloc();
    }
    data_ = static_cast<T*>(data);
  }
  ~PinnedArray() { cudaFreeHost(data_); }
  PinnedArray(const PinnedArray&) = delete;
  PinnedArray& operator=(const PinnedArray&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

}  // namespace weft::worker
