#include "worker/engine/cuda/upload.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "worker/engine/without_exceptions.h"
#include "worker/ops/cuda/cuda_status.h"
#include "worker/ops/cuda/dummy_weights.h"

namespace weft::worker {
namespace {

using ops::cuda::CudaStatus;

constexpr int kDefaultThreads = 8;  // more gain little: PCIe and the page cache are shared
constexpr int kBuffers = 2;         // one is read into while the other is copied
constexpr int64_t kPieceBytes = 8 << 20;

// A part of an item that fits a buffer.
struct Piece {
  const UploadItem* item;
  NumberRange range;

  int64_t num_bytes() const { return range.count * BytesOf(item->dtype); }
  void* target() const {
    return static_cast<char*>(item->target) + range.first * BytesOf(item->dtype);
  }
};

std::vector<Piece> CutIntoPieces(std::span<const UploadItem> items) {
  std::vector<Piece> pieces;
  for (const UploadItem& item : items) {
    const int64_t count = item.tensor.num_elements();
    const int64_t most = kPieceBytes / BytesOf(item.dtype);
    for (int64_t first = 0; first < count; first += most) {
      pieces.push_back({&item, {.first = first, .count = std::min(most, count - first)}});
    }
  }
  return pieces;
}

// One thread's pinned buffers, stream and events.
class Stager {
 public:
  Stager() = default;
  ~Stager();
  Stager(const Stager&) = delete;
  Stager& operator=(const Stager&) = delete;

  absl::Status Open();
  // Reads it, and leaves the copy to the stream.
  absl::Status Pass(const WeightSource& source, const Piece& piece);
  absl::Status Finish() {
    return CudaStatus(cudaStreamSynchronize(stream_), "loading weights: copy");
  }

 private:
  char* memory_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t copied_[kBuffers] = {};  // of each buffer
  int next_ = 0;
};

Stager::~Stager() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  for (cudaEvent_t event : copied_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
  if (memory_ != nullptr) cudaFreeHost(memory_);
}

absl::Status Stager::Open() {
  cudaError_t error = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
  for (cudaEvent_t& event : copied_) {
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  }
  if (error == cudaSuccess) {
    error = cudaHostAlloc(reinterpret_cast<void**>(&memory_), kBuffers * kPieceBytes,
                          cudaHostAllocDefault);
  }
  return CudaStatus(error, "loading weights: pinned memory");
}

absl::Status Stager::Pass(const WeightSource& source, const Piece& piece) {
  char* buffer = memory_ + next_ * kPieceBytes;
  cudaEvent_t copied = copied_[next_];
  next_ = (next_ + 1) % kBuffers;
  // An event that was never recorded counts as past.
  if (auto s = CudaStatus(cudaEventSynchronize(copied), "loading weights: copy"); !s.ok()) return s;
  const auto read = source.ReadRange(piece.item->tensor, piece.item->dtype, piece.range, buffer);
  if (!read.ok()) return read;
  cudaError_t error =
      cudaMemcpyAsync(piece.target(), buffer, piece.num_bytes(), cudaMemcpyHostToDevice, stream_);
  if (error == cudaSuccess) error = cudaEventRecord(copied, stream_);
  return CudaStatus(error, "loading weights: copy");
}

// What the threads share.
class Upload {
 public:
  Upload(const WeightSource& source, std::span<const UploadItem> items,
         const UploadOptions& options)
      : source_(source), options_(options), pieces_(CutIntoPieces(items)) {
    for (const Piece& piece : pieces_) num_bytes_ += piece.num_bytes();
  }

  absl::Status Run(int num_threads);

 private:
  void RunThread(int device);
  absl::Status PassPieces();
  void Report(int64_t num_more_bytes);

  const WeightSource& source_;
  const UploadOptions& options_;
  const std::vector<Piece> pieces_;
  int64_t num_bytes_ = 0;

  std::atomic<size_t> next_piece_{0};
  std::atomic<bool> stopped_{false};

  std::mutex mutex_;  // guards what follows
  int64_t num_done_bytes_ = 0;
  absl::Status first_error_;
};

absl::Status Upload::Run(int num_threads) {
  int device = 0;
  if (auto s = CudaStatus(cudaGetDevice(&device), "loading weights: device"); !s.ok()) return s;
  num_threads = std::min<int>(num_threads, static_cast<int>(pieces_.size()));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < num_threads; ++i) threads.emplace_back([&] { RunThread(device); });
  }
  return first_error_;
}

void Upload::RunThread(int device) {
  absl::Status status = CudaStatus(cudaSetDevice(device), "loading weights: device");
  if (status.ok()) status = WithoutExceptions([&] { return PassPieces(); });
  if (status.ok()) return;
  stopped_ = true;
  const std::lock_guard lock(mutex_);
  if (first_error_.ok()) first_error_ = status;
}

absl::Status Upload::PassPieces() {
  Stager stager;
  if (auto s = stager.Open(); !s.ok()) return s;
  while (!stopped_) {
    const size_t i = next_piece_++;
    if (i >= pieces_.size()) break;
    if (auto s = stager.Pass(source_, pieces_[i]); !s.ok()) return s;
    Report(pieces_[i].num_bytes());
  }
  return stager.Finish();
}

void Upload::Report(int64_t num_more_bytes) {
  const std::lock_guard lock(mutex_);
  num_done_bytes_ += num_more_bytes;
  if (options_.on_progress) options_.on_progress(num_done_bytes_, num_bytes_);
}

}  // namespace

absl::Status UploadWeights(const WeightSource& source, std::span<const UploadItem> items,
                           const UploadOptions& options) {
  const int num_cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int num_threads =
      options.num_threads > 0 ? options.num_threads : std::min(kDefaultThreads, num_cores);
  return Upload(source, items, options).Run(num_threads);
}

absl::Status UploadDummyWeights(std::span<const UploadItem> items) {
  for (const UploadItem& item : items) {
    const DummyFormula formula = DummyFormulaOf(item.tensor);
    const cudaError_t error = ops::cuda::FillWithDummy(
        {.key = formula.key, .center = formula.center, .half_width = formula.half_width},
        item.dtype, item.tensor.num_elements(), item.target, nullptr);
    if (error != cudaSuccess) return CudaStatus(error, "loading weights: dummy weights");
  }
  return CudaStatus(cudaStreamSynchronize(nullptr), "loading weights: dummy weights");
}

}  // namespace weft::worker
