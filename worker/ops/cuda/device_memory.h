// Device memory for the life of a process: taken in large pieces, never given back one
// by one.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

namespace weft::worker::ops::cuda {

class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // 1024-byte aligned, not filled. Throws std::bad_alloc, as at::empty would on the
  // host, when the device has no more.
  void* Take(int64_t bytes);
  // The same, all zeros once this returns.
  void* TakeZeroed(int64_t bytes);

  int64_t bytes() const { return bytes_; }  // taken

 private:
  std::vector<void*> pieces_;
  char* next_ = nullptr;  // in the newest piece
  int64_t left_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace weft::worker::ops::cuda
