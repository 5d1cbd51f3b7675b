// Weights on their way to the GPU: read by several threads through pinned memory,
// each copying on a stream of its own while it reads on.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "worker/model/weight_source.h"

namespace weft::worker {

// A tensor and where its numbers go.
struct UploadItem {
  TensorSpec tensor;
  DType dtype = DType::kBFloat16;
  void* target = nullptr;  // device memory for all of them, 16-byte aligned
};

struct UploadOptions {
  int num_threads = 0;  // 0: 8, or every core where there are fewer
  // Bytes on their way to the device or there, and in all; one thread at a time, the
  // last call with both equal. Calls come from the uploading threads.
  std::function<void(int64_t num_done_bytes, int64_t num_bytes)> on_progress;
};

// Returns when every number is in place, or with the first error: a read's, or
// Internal for CUDA's. The other threads then stop early; what the targets hold is
// undefined. On the calling thread's device. While it runs, takes 16 MiB of pinned
// host memory for each thread.
absl::Status UploadWeights(const WeightSource& source, std::span<const UploadItem> items,
                           const UploadOptions& options);

// What UploadWeights(*MakeDummyWeights(), items) leaves, made by the GPU itself.
absl::Status UploadDummyWeights(std::span<const UploadItem> items);

}  // namespace weft::worker
