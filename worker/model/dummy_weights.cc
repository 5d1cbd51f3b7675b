#include <cmath>

#include "worker/model/weight_source.h"

namespace weft::worker {
namespace {

uint64_t Fnv1a64(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

uint64_t SplitMix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct Range {
  float center, half_width;
};

Range RangeOf(const TensorSpec& tensor) {
  if (tensor.shape.size() == 2) {
    return {0, static_cast<float>(std::sqrt(3.0 / static_cast<double>(tensor.shape[1])))};
  }
  return tensor.name.ends_with(".bias") ? Range{0, 0.5f} : Range{1, 0.125f};
}

class DummyWeights : public WeightSource {
 public:
  absl::Status Read(const TensorSpec& tensor, DType dtype, void* out) const override {
    const uint64_t key = Fnv1a64(tensor.name);
    const Range range = RangeOf(tensor);
    constexpr int64_t kChunk = 4096;  // numbers made before they are converted
    float chunk[kChunk];
    const int64_t count = tensor.num_elements();
    for (int64_t start = 0; start < count; start += kChunk) {
      const int64_t n = std::min(kChunk, count - start);
      for (int64_t i = 0; i < n; ++i) {
        const auto top = static_cast<int32_t>(SplitMix64(key + start + i) >> 40);
        const float u = static_cast<float>(top) * 0x1p-23f - 1;
        chunk[i] = range.center + u * range.half_width;
      }
      ConvertNumbers(chunk, DType::kFloat32, static_cast<char*>(out) + start * BytesOf(dtype),
                     dtype, n);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Fingerprint() const override { return std::string("dummy"); }
};

}  // namespace

std::unique_ptr<WeightSource> MakeDummyWeights() { return std::make_unique<DummyWeights>(); }

}  // namespace weft::worker
