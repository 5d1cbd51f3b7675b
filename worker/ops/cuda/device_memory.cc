#include "worker/ops/cuda/device_memory.h"

#include <algorithm>
#include <new>
#include <utility>

namespace weft::worker::ops::cuda {
namespace {

constexpr int64_t kAlignment = 1024;
// A model has hundreds of tensors, and cudaMalloc takes a tenth of a millisecond.
constexpr int64_t kPieceBytes = int64_t{256} << 20;

}  // namespace

DeviceMemory::~DeviceMemory() {
  for (void* piece : pieces_) cudaFree(piece);
}

void* DeviceMemory::Take(int64_t bytes) {
  const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  bytes_ += rounded;
  const bool alone = rounded >= kPieceBytes / 2;
  if (!alone && rounded <= left_) {
    left_ -= rounded;
    return std::exchange(next_, next_ + rounded);
  }
  void* piece = nullptr;
  if (cudaMalloc(&piece, alone ? rounded : kPieceBytes) != cudaSuccess) {
    cudaGetLastError();  // told here, and not again by the next launch
    throw std::bad_alloc();
  }
  pieces_.push_back(piece);
  if (alone) return piece;
  next_ = static_cast<char*>(piece) + rounded;
  left_ = kPieceBytes - rounded;
  return piece;
}

void* DeviceMemory::TakeZeroed(int64_t bytes) {
  void* memory = Take(bytes);
  if (cudaMemset(memory, 0, std::max<int64_t>(bytes, 1)) != cudaSuccess ||
      cudaDeviceSynchronize() != cudaSuccess) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace weft::worker::ops::cuda
