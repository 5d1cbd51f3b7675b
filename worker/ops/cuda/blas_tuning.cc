// Blas::Tune: times what cuBLASLt proposes.
//
// A step reads each weight once, so a product is timed with its weight out of L2:
// runs take turns over copies of the weight that together are several times as
// large. Before the runs of a candidate, fills of as much memory keep the device busy
// while the host launches them, else small products would be timed at the host's
// pace.
#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "worker/ops/cuda/blas.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr int kMaxCandidates = 16;

// The best by one round of a few runs are timed again, longer: what separates them
// is less than the noise of a few runs.
constexpr int kFinalists = 3;
constexpr float kRoundMicroseconds = 40;
constexpr float kFinalMicroseconds = 150;
constexpr int kMinRuns = 2;
constexpr int kMaxRuns = 12;
constexpr int kMinFinalRuns = 3;

constexpr int64_t kWeightCopiesPerL2 = 4;  // bytes of copies / bytes of L2
constexpr int64_t kFillPerL2 = 2;

// Of launching one product: a call of cuBLASLt takes the host 8, on a slow core more.
constexpr float kLaunchMicroseconds = 15;

int64_t Aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

// Device memory for as long as measuring takes.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { cudaFree(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  cudaError_t Allocate(int64_t bytes) { return cudaMalloc(&data_, bytes); }
  char* data() const { return static_cast<char*>(data_); }

 private:
  void* data_ = nullptr;
};

// Numbers of about one, so that the device draws the power that real ones draw.
cudaError_t FillWithNumbers(char* data, int64_t bytes, DType dtype, cudaStream_t stream) {
  std::mt19937 random(1);
  std::vector<uint32_t> words(1 << 18);
  for (uint32_t& word : words) {
    const uint32_t bits = random();
    // Signs and fractions at random; exponents that make 1 to 2 times 2^-4.
    if (dtype == DType::kFloat32) word = (bits & 0x807fffff) | 0x3d800000;
    if (dtype == DType::kBFloat16) word = (bits & 0x807f807f) | 0x3d803d80;
    if (dtype == DType::kFloat16) word = (bits & 0x83ff83ff) | 0x2c002c00;
  }
  int64_t filled = std::min<int64_t>(bytes, words.size() * sizeof(uint32_t));
  cudaError_t error = cudaMemcpyAsync(data, words.data(), filled, cudaMemcpyHostToDevice, stream);
  while (error == cudaSuccess && filled < bytes) {
    const int64_t more = std::min(filled, bytes - filled);
    error = cudaMemcpyAsync(data + filled, data, more, cudaMemcpyDeviceToDevice, stream);
    filled += more;
  }
  return error == cudaSuccess ? cudaStreamSynchronize(stream) : error;
}

}  // namespace

// Stream, events and memory to run one layer's products at up to max_tokens.
class GemmTimer {
 public:
  using Plan = Blas::Plan;
  using Layer = Blas::Layer;

  GemmTimer(Blas& blas, const Gemm& gemm, Layer& layer) : blas_(blas), gemm_(gemm), layer_(layer) {}
  ~GemmTimer();

  cudaError_t Prepare(int max_tokens);

  // The fastest of the candidates at m tokens; num_candidates is 0 if none runs.
  GemmChoice Best(int m);

 private:
  struct Timed {
    Plan plan;
    float microseconds;
  };

  bool Run(const Plan& plan);
  void Fill() { cudaMemsetAsync(fill_.data(), 0, kFillPerL2 * blas_.l2_bytes_, stream_); }
  // Since start_ was recorded, until all is done; negative if something failed.
  float Elapsed();
  // Mean of some runs; negative if it does not run.
  float Time(const Plan& plan, int runs);
  float TimeFirst(const Plan& plan);

  Blas& blas_;
  Gemm gemm_;
  Layer& layer_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t start_ = nullptr, end_ = nullptr;
  Buffer weights_, x_, out_, fill_;
  float fill_microseconds_ = 0;
  int64_t weight_bytes_ = 0;
  int64_t num_weights_ = 0;
  int64_t num_runs_ = 0;
};

GemmTimer::~GemmTimer() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  if (start_ != nullptr) cudaEventDestroy(start_);
  if (end_ != nullptr) cudaEventDestroy(end_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

cudaError_t GemmTimer::Prepare(int max_tokens) {
  const int64_t number = BytesOf(gemm_.dtype), out_number = BytesOf(gemm_.out_dtype);
  weight_bytes_ = Aligned(number * gemm_.n * gemm_.k);
  num_weights_ = std::max<int64_t>(1, kWeightCopiesPerL2 * blas_.l2_bytes_ / weight_bytes_);
  const int64_t x_bytes = number * max_tokens * gemm_.k;
  const int64_t out_bytes = out_number * max_tokens * gemm_.n;
  const cudaError_t errors[] = {cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                                cudaEventCreate(&start_),
                                cudaEventCreate(&end_),
                                weights_.Allocate(num_weights_ * weight_bytes_),
                                x_.Allocate(x_bytes),
                                out_.Allocate(out_bytes),
                                fill_.Allocate(kFillPerL2 * blas_.l2_bytes_)};
  for (cudaError_t error : errors) {
    if (error != cudaSuccess) return error;
  }
  const cudaError_t fills[] = {
      FillWithNumbers(weights_.data(), num_weights_ * weight_bytes_, gemm_.dtype, stream_),
      FillWithNumbers(x_.data(), x_bytes, gemm_.dtype, stream_),
      FillWithNumbers(out_.data(), out_bytes, gemm_.out_dtype, stream_)};
  for (cudaError_t error : fills) {
    if (error != cudaSuccess) return error;
  }
  Fill();
  cudaEventRecord(start_, stream_);
  Fill();
  fill_microseconds_ = Elapsed();
  return fill_microseconds_ > 0 ? cudaSuccess : cudaGetLastError();
}

bool GemmTimer::Run(const Plan& plan) {
  char* weight = weights_.data() + num_runs_++ % num_weights_ * weight_bytes_;
  // A weight's start serves as the bias: n numbers of either type are there if k > 1.
  const LinearPointers p = {.x = x_.data(), .weight = weight, .bias = weight, .out = out_.data()};
  return blas_.Run(gemm_, layer_, plan, p, stream_) == CUBLAS_STATUS_SUCCESS;
}

float GemmTimer::Elapsed() {
  float milliseconds = 0;
  if (cudaEventRecord(end_, stream_) != cudaSuccess) return -1;
  if (cudaEventSynchronize(end_) != cudaSuccess) return -1;
  if (cudaEventElapsedTime(&milliseconds, start_, end_) != cudaSuccess) return -1;
  return milliseconds * 1000;
}

float GemmTimer::Time(const Plan& plan, int runs) {
  const float launching = kLaunchMicroseconds * static_cast<float>(runs);
  for (float busy = 0; busy < launching; busy += fill_microseconds_) Fill();
  cudaEventRecord(start_, stream_);
  for (int i = 0; i < runs; ++i) {
    if (!Run(plan)) return -1;
  }
  return Elapsed() / static_cast<float>(runs);
}

// The first run loads the kernel, which takes long; the second tells how many runs
// are worth while.
float GemmTimer::TimeFirst(const Plan& plan) {
  if (!Run(plan) || cudaStreamSynchronize(stream_) != cudaSuccess) return -1;
  const float once = Time(plan, 1);
  if (once < 0 || once > kRoundMicroseconds) return once;
  return Time(plan, std::clamp(static_cast<int>(kRoundMicroseconds / once), kMinRuns, kMaxRuns));
}

GemmChoice GemmTimer::Best(int m) {
  gemm_.m = m;
  if (Blas::SetTokens(gemm_, layer_) != CUBLAS_STATUS_SUCCESS) return {};
  std::vector<Timed> timed;
  for (const Plan& plan : blas_.Candidates(layer_, kMaxCandidates)) {
    const float microseconds = TimeFirst(plan);
    if (microseconds >= 0) timed.push_back({plan, microseconds});
  }
  if (timed.empty()) return {};
  GemmChoice choice = {.num_candidates = static_cast<int>(timed.size()),
                       .default_microseconds = timed[0].microseconds};
  const cublasLtMatmulAlgo_t first = timed[0].plan.algo;
  const auto faster = [](const Timed& a, const Timed& b) {
    return a.microseconds < b.microseconds;
  };
  std::stable_sort(timed.begin(), timed.end(), faster);
  timed.resize(std::min<size_t>(timed.size(), kFinalists));
  for (Timed& finalist : timed) {
    const int runs = static_cast<int>(kFinalMicroseconds / finalist.microseconds);
    const float again = Time(finalist.plan, std::clamp(runs, kMinFinalRuns, kMaxRuns));
    if (again >= 0) finalist.microseconds = again;
    const auto same = std::equal(std::begin(first.data), std::end(first.data),
                                 std::begin(finalist.plan.algo.data));
    if (same) choice.default_microseconds = finalist.microseconds;
  }
  const Timed& best = *std::min_element(timed.begin(), timed.end(), faster);
  choice.algo = best.plan.algo;
  choice.workspace_bytes = static_cast<int64_t>(best.plan.workspace_bytes);
  choice.microseconds = best.microseconds;
  return choice;
}

absl::Status Blas::Tune(const Gemm& gemm, std::span<const int> tokens) {
  Layer* layer = nullptr;
  const auto status = FindLayer(gemm, layer);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return absl::InternalError(absl::StrCat("cuBLASLt: ", cublasLtGetStatusString(status)));
  }
  std::vector<int> missing;
  for (int m : tokens) {
    if (m > 0 && !table_.contains(WithTokens(gemm, m))) missing.push_back(m);
  }
  if (missing.empty()) return absl::OkStatus();
  GemmTimer timer(*this, gemm, *layer);
  const cudaError_t error = timer.Prepare(*std::max_element(missing.begin(), missing.end()));
  if (error != cudaSuccess) {
    cudaGetLastError();  // or the next to ask would take it for its own
    return absl::ResourceExhaustedError(
        absl::StrCat("timing matrix products: ", cudaGetErrorString(error)));
  }
  for (int m : missing) {
    const GemmChoice choice = timer.Best(m);
    // Linear asks cuBLASLt then, and reports what it says.
    if (choice.num_candidates == 0) continue;
    table_[WithTokens(gemm, m)] = choice;
    table_changed_ = true;
  }
  layer->plans.clear();
  return absl::OkStatus();
}

}  // namespace weft::worker::ops::cuda
